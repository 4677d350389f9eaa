// All scores of one class with the weight of positives and negatives at each: what a ranking metric needs, and no less.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/metrics/state_bytes.hpp>

namespace chorale {

/// Rows of equal score and weight. Rows are counted, not summed, so that runs are a multiset, whatever the order of merging.
struct ScoreRun {
  double score = 0, weight = 1;
  std::int64_t positives = 0, negatives = 0;
};

/// 32 bytes a distinct (score, weight). Adding is amortised O(log n) a row. One thread.
class SortedRuns {
 public:
  void add(double score, bool positive, double weight);
  /// True once a NaN has been added: no order has it.
  bool is_undefined() const { return undefined_ > 0; }
  /// Ascending by score, then weight; no two alike.
  std::vector<ScoreRun> runs() const;
  void write(StateWriter& out) const;
  void merge(StateReader& in);

 private:
  void push(const ScoreRun& run);
  std::vector<ScoreRun> runs_;  // the first sorted_ are in order, the rest as they came
  std::size_t sorted_ = 0;
  std::int64_t undefined_ = 0;
};

}  // namespace chorale
