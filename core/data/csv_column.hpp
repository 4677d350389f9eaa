// Fields of one column to values, with what each of them looked like.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/csv_split.hpp>
#include <chorale/core/data/csv_words.hpp>
#include <chorale/core/data/infer_state.hpp>
#include <chorale/core/data/table.hpp>

namespace chorale {

/// The words that mean a missing value; the empty field always does.
class MissingWords {
 public:
  explicit MissingWords(const std::vector<std::string>& words);
  bool contains(std::string_view text) const {
    if (text.empty()) return true;
    if (!((lengths_ >> (text.size() < 63 ? text.size() : 63)) & 1)) return false;
    for (const std::string& word : words_)
      if (word == text) return true;
    return false;
  }
  bool has_numbers() const { return has_numbers_; }  // such as -999: then numbers have to be compared, too

 private:
  std::vector<std::string> words_;
  std::uint64_t lengths_ = 0;
  bool has_numbers_ = false;
};

/// What the value looks like, and its number or its seconds by DateOrder where it has them.
std::uint8_t classify_value(std::string_view value, const MissingWords& missing);

/// One thread; one piece after another. A value that the type cannot take becomes NaN and keeps its class.
class ColumnReader {
 public:
  ColumnReader(ColumnType type, DateOrder order, const MissingWords& missing) : type_(type), order_(order), missing_(&missing) {}
  void start();
  /// Appends the column's values of a batch, whose offsets count from `base`.
  void read(const char* base, const RecordBatch& batch, std::size_t column);
  /// Classes of the rows read since start(), as ValueClass.
  std::vector<std::uint8_t> classes() const;
  /// Counts of them; spots are left empty.
  ColumnEvidence evidence(const std::vector<std::uint8_t>& classes) const;
  ColumnChunk take();
  bool reads_words() const { return type_ == ColumnType::category || type_ == ColumnType::text; }

 private:
  void read_numbers(const char* base, const RecordBatch& batch, std::size_t column);
  void read_dates(const char* base, const RecordBatch& batch, std::size_t column);
  void read_words(const char* base, const RecordBatch& batch, std::size_t column);

  ColumnType type_;
  DateOrder order_;
  const MissingWords* missing_;
  ColumnChunk chunk_;
  std::vector<std::uint8_t> classes_;  // of numbers and dates
  WordTable words_;
  std::string scratch_;
};

}  // namespace chorale
