// Stops when a score has not improved for a number of evaluations. A pure state machine: every rank feeds it the same scores.
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>

namespace chorale {

using Scores = std::map<std::string, std::map<std::string, double>>;  // part -> metric -> value

class EarlyStopping {
 public:
  EarlyStopping() = default;  // never stops
  /// words: "validation.auc 5", of one of several targets "validation.income.auc 5", or empty. Throws UsageError for another form, an
  /// unknown part or metric. key: what it names.
  EarlyStopping(const std::vector<std::string>& words, const Registry& registry, const std::string& key = "train.early_stop");

  bool active() const { return patience_ > 0; }
  /// Evaluations; 0: never stops.
  std::int64_t patience() const { return patience_; }
  const std::string& metric() const { return metric_; }
  bool higher_is_better() const { return higher_is_better_; }
  /// Takes an evaluation's scores; true when this is the best so far. An undefined score (NaN) counts as no improvement.
  bool update(const Scores& scores, std::int64_t step);
  bool should_stop() const { return active() && without_improvement_ >= patience_; }

  // What a checkpoint keeps.
  double best = std::numeric_limits<double>::quiet_NaN();
  std::int64_t best_step = 0;
  std::int64_t without_improvement() const { return without_improvement_; }
  void restore(double best_score, std::int64_t at_step, std::int64_t without) {
    best = best_score, best_step = at_step, without_improvement_ = without;
  }

 private:
  std::string part_, metric_;
  std::int64_t patience_ = 0, without_improvement_ = 0;
  bool higher_is_better_ = false;
};

}  // namespace chorale
