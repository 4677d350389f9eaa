// Which part a row belongs to: a pure function of the rule, the seed and one key a row, so every rank and every run cuts alike.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/table.hpp>

namespace chorale {

enum class Part : std::uint8_t { train, validation, test };
std::string_view name(Part part);
/// Throws UsageError with the three names.
Part parse_part(std::string_view text);

/// data.split, understood.
struct SplitRule {
  enum class Kind : std::uint8_t { random, stratified, order, time, group, column };
  Kind kind = Kind::random;
  std::string column;                               // of time, group, column
  std::array<double, 3> share = {0.7, 0.15, 0.15};  // of train, validation, test; sums to 1
  std::int64_t fold = 0, folds = 0;                 // test is fold `fold` of so many, from 1 on; 0: as share says
  std::string text() const;
  bool needs_keys() const { return kind != Kind::random && kind != Kind::order; }
};

/// "random 0.7 0.15 0.15", "stratified 0.8 0.2", "order 0.8 0.1 0.1" (as rows lie), "time COLUMN 0.7 0.15 0.15", "group COLUMN 0.8 0.2",
/// "column COLUMN". Two numbers are train and test: there is no validation part then, and nothing to stop early by. Throws UsageError that
/// says what is allowed.
SplitRule parse_split(const std::vector<std::string>& words);

/// The same with the fold of data.fold, "2/5": test is the second of five parts of equal size, of which each row is in one; the rest is cut
/// into train and validation as the shares of the two say. Empty: no fold. Throws UsageError for another form, and for splits whose parts
/// have an order or names.
SplitRule parse_split(const std::vector<std::string>& words, const std::string& fold);

/// One key a row of a chunk, from the column that the rule looks at (the target, for stratified).
/// Throws DataError for a row without a value, or, for kind column, with a value other than train, validation, test.
std::vector<std::uint64_t> split_keys(const SplitRule& rule, const TableChunk& chunk, int column, ColumnType type);

/// The part of each of `rows` rows. `keys`: one a row in row order, empty for random. Memory: 8 to 24 bytes a row while it runs.
/// Throws DataError when the train part, or another that was asked for, gets no row.
std::vector<Part> assign_parts(const SplitRule& rule, std::uint64_t seed, std::int64_t rows, std::span<const std::uint64_t> keys);

/// The rows of a part, rising.
std::vector<std::int64_t> rows_of(std::span<const Part> parts, Part wanted);

/// The part of each key: a pure function of (key, seed), whatever other keys there are, so that tables of several tasks put one customer
/// into one part. Shares are met in the mean, not exactly. Rows with key 0 are nobody's and are drawn one by one.
std::vector<Part> parts_by_key(std::span<const std::uint64_t> keys, const std::array<double, 3>& share, std::uint64_t seed);

}  // namespace chorale
