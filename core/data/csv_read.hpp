// Reads one piece: records, columns, and what was odd about them.
#pragma once
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include <chorale/core/data/csv_source.hpp>

namespace chorale {

/// One thread, one piece. Memory: a few times the piece for its values, 8 bytes a row and a column for what they looked like at most.
class PieceReader {
 public:
  /// Records that start in [begin, end) of a file's text.
  struct Range {
    std::string_view text;
    std::size_t begin = 0, end = 0;
    std::int64_t piece = 0;
  };
  static Range range_of(const CsvSource& source, std::int64_t piece);

  PieceReader(const Schema& schema, char separator, const MissingWords& missing, std::int64_t bad_limit);
  PieceRead read(const Range& range);
  /// With settled types: rows with a value that a number or date column cannot take are left out.
  TableChunk parse(const Range& range);

 private:
  void run(const Range& range);
  TableChunk take_chunk();
  void note_unreadable(const Range& range, ScanState& state);
  void note_column(const Range& range, std::size_t column, ScanState& state);
  using IsBad = std::function<bool(std::uint8_t value_class)>;
  std::vector<BadSpot> spots_of(const Range& range, std::size_t column, const std::vector<std::uint8_t>& classes, const IsBad& is_bad);
  std::int64_t line_of(std::size_t at);
  BadSpot spot_at(const Range& range, std::size_t record, std::size_t at);

  Schema schema_;
  char separator_;
  std::size_t most_spots_;
  std::vector<ColumnReader> columns_;
  std::string_view text_;                  // from the first record on
  std::int64_t lines_ = 0;                 // newlines to the end of the last record
  std::vector<std::uint32_t> row_starts_;  // in text_
  std::vector<BadRecord> bad_;
  std::size_t counted_to_ = 0;  // newlines of text_ before here ...
  std::int64_t counted_ = 0;    // ... are this many
};

}  // namespace chorale
