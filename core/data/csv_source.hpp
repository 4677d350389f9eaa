// CSV files as one table, cut into pieces that any rank can read alone. Nothing here depends on the number of ranks: pieces are byte ranges
// of fixed size, and a piece gives the same rows and the same evidence whoever reads it.
//
//   CsvSource source(options);
//   ScanState state = merge of source.scan(i) over all pieces i;   // shares on each rank, states exchanged as bytes
//   TablePlan plan = source.plan(state);                           // the same on every rank; throws for bad data
//   TableChunk chunk = source.parse(i, plan);                      // any piece, on any rank
//
// One pass where the guess of types holds: keep what read(i) gives, and settle() it.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/csv_border.hpp>
#include <chorale/core/data/csv_column.hpp>
#include <chorale/core/data/csv_dialect.hpp>
#include <chorale/core/data/infer_schema.hpp>
#include <chorale/core/data/source.hpp>

namespace chorale {

struct CsvSettings {
  std::int64_t piece_bytes = 4 << 20;  // of the unpacked file
  std::string spill_directory = {};    // for gzip, see Source
  Schema known = {};                   // of a table that was read before: nothing is inferred, see infer_schema
};

/// A piece as read with guessed types: what it showed, and its rows if the guess holds.
struct PieceRead {
  ScanState state;
  TableChunk chunk;
};

/// Safe from any thread once made.
class CsvSource {
 public:
  /// Opens the files of data.file, reads the header of each, and guesses types from the first 64 KiB. Throws DataError for files that
  /// cannot be read, are empty, or have other headers than the first,
  /// or lack a column that the options name.
  explicit CsvSource(const DataOptions& options, const CsvSettings& settings = {});
  /// The same over sources that are open already, such as another process's unpacked file.
  CsvSource(std::vector<Source> sources, const DataOptions& options, const CsvSettings& settings = {});

  const std::vector<std::string>& names() const { return names_; }
  char separator() const { return separator_; }
  /// file:line:column of a column's name in the first file; throws InternalError for a name that is none.
  const std::string& place_of(const std::string& column) const;
  std::int64_t pieces() const { return static_cast<std::int64_t>(pieces_.size()); }
  const std::vector<Source>& sources() const { return sources_; }
  /// The types that read() and scan() try: a function of the first file's first bytes and the options.
  const Schema& guess() const { return guess_; }

  /// Quoting of a piece; needs no other piece. Ranks may make shares of these and give all, in order, to set_quote_maps before they read;
  /// otherwise the first read makes them all, at about the speed of memory.
  QuoteMap scan_quotes(std::int64_t piece) const;
  void set_quote_maps(const std::vector<QuoteMap>& maps);

  /// Never throws over what the file holds: that is plan's decision, so that all ranks take the same one.
  PieceRead read(std::int64_t piece) const;
  ScanState scan(std::int64_t piece) const { return read(piece).state; }
  /// From the merged states of all pieces. Throws DataError with file:line:column, see infer_plan.
  TablePlan plan(const ScanState& state) const;
  TableChunk parse(std::int64_t piece, const TablePlan& plan) const;
  /// The chunk of a read piece: as it is when the guess held and no row is left out, else read again.
  TableChunk settle(std::int64_t piece, PieceRead&& read, const TablePlan& plan) const;
  /// Does the plan's schema give the chunks that the guess gave?
  bool guess_holds(const TablePlan& plan) const;

  /// Lets go of a piece's mapped pages, for reading under a memory budget.
  void release(std::int64_t piece) const;

 private:
  struct Piece {
    std::size_t file = 0, begin = 0, end = 0;  // borders in the file's text
  };
  struct File {
    std::string_view text;
    CsvDialect dialect;
    std::int64_t first_piece = 0;
  };
  void open_files();
  void cut_pieces(std::int64_t piece_bytes);
  void guess_types();
  void settle_borders(const std::vector<QuoteMap>& maps) const;
  std::string locate(const BadSpot& spot, const ScanState& state) const;
  friend class PieceReader;

  DataOptions options_;
  Schema known_;
  MissingWords missing_;
  std::int64_t bad_limit_ = 0;
  std::vector<Source> sources_;
  std::vector<File> files_;
  std::vector<std::string> names_;
  char separator_ = ',';
  std::vector<Piece> pieces_;
  Schema guess_;
  mutable std::once_flag borders_once_;
  mutable std::vector<std::uint8_t> begins_inside_;  // of each piece's border: is it inside a quoted field?
};

}  // namespace chorale
