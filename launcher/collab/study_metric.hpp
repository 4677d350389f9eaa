// A task's metric over a bootstrap draw: the same rows again and again, each counted as often as its entity was drawn. One thread.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/metrics/metric.hpp>
#include <chorale/launcher/collab/study_result.hpp>

namespace chorale {

/// Throws UsageError for a metric that a study cannot draw again row by row, with those that it can.
void check_study_metric(const std::string& metric);

/// Fills value, prediction, target and weight of `scores` (whose metric and, by row, entity are set) from a model's outputs on the test
/// part. Rows of weight 0 count nowhere and are left out. Throws UsageError for a metric that a study cannot draw.
void score_rows(TaskScores& scores, const Scored& test, const Registry& registry);

/// AUC (exact, ties count half), a weighted mean, or for rmse the root of the mean of squares.
class DrawnMetric {
 public:
  /// entity: by row, its place in the counts of a draw.
  DrawnMetric(const TaskScores& scores, std::span<const std::uint32_t> entity);
  /// counts: by entity, how often it was drawn. O(rows). NaN where it is undefined: no row, or for AUC one class only.
  double value(std::span<const std::uint32_t> counts) const;

 private:
  double auc(std::span<const std::uint32_t> counts) const;
  double mean(std::span<const std::uint32_t> counts) const;

  /// For AUC ascending by score; `last` of those with equal scores is marked.
  struct Row {
    double value = 0, weight = 1;  // value: for AUC 1 or 0, else the term of the mean
    std::uint32_t entity = 0;
    bool last = false;
  };
  std::vector<Row> rows_;
  enum class Kind { auc, mean, root } kind_;
  bool undefined_ = false;  // a score is NaN, which no order has
};

}  // namespace chorale
