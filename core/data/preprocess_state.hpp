// What fitting learns from training rows, as states that merge. Sums are exact and counts are counts, so neither the order of chunks,
// nor their size, nor the ranks that read them change a bit of the result.
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/preprocess_bytes.hpp>
#include <chorale/core/data/preprocess_plan.hpp>
#include <chorale/core/data/preprocess_sum.hpp>
#include <chorale/core/data/split.hpp>

namespace chorale {

/// Parts of a date, each a number of its own.
inline constexpr int kDateParts = 5;
extern const char* const kDatePartNames[kDateParts];  // year month day weekday hour
/// Part `part` of seconds since 1970, UTC. weekday: 0 is Monday.
double date_part(double seconds, int part);
/// sign(x) log(1 + |x|): log1p for positive values, defined for the others too.
double signed_log1p(double value);

struct NumberState {
  std::int64_t missing = 0;
  ExactMoments moments;
  double min = std::numeric_limits<double>::infinity(), max = -min;
  std::vector<double> values;  // only where quantiles are needed; a drawn share of the rows of a large table
};

struct ColumnState {
  std::vector<NumberState> numbers;            // one; five for a date; none for a category
  std::map<std::string, std::int64_t> counts;  // of categories
  std::int64_t missing = 0;
};

/// One thread. Fill from chunks, merge in any order, then hand it to fit_pipeline.
class FitState {
 public:
  /// total_rows: of the whole table. Above a million, quantiles come from rows drawn by a hash of their number.
  FitState(const PreprocessPlan& plan, std::int64_t total_rows);
  /// Takes the training rows of a chunk. `parts`: of every row of the chunk.
  /// Throws DataError for a row whose only target is missing, whose target is infinite, or whose weight is missing, negative or infinite,
  /// whatever its part.
  void update(const TableChunk& chunk, std::span<const Part> parts);
  void merge(std::span<const std::byte> state);
  Bytes state() const;

  std::int64_t rows() const { return rows_; }
  const std::vector<ColumnState>& columns() const { return columns_; }
  const std::vector<ColumnState>& targets() const { return targets_; }

 private:
  void update_number(NumberState& state, double value, bool keeps) const;
  void update_column(const ColumnPlan& plan, ColumnState& state, const TableChunk& chunk, std::span<const Part> parts);
  void update_target(const TargetPlan& plan, ColumnState& state, const TableChunk& chunk, std::span<const Part> parts);
  void check_weight(const TableChunk& chunk) const;
  bool draws(std::int64_t row) const;
  PreprocessPlan plan_;
  std::int64_t total_rows_, rows_ = 0;
  std::vector<ColumnState> columns_;
  std::vector<ColumnState> targets_;  // class counts by name, or one number
};

/// The name of a class given as a number: the shortest text that reads back as it.
std::string number_name(double value);

}  // namespace chorale
