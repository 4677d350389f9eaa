// The learning rate of each update of a run: warm-up, then the schedule of optimizer.schedule, and what a plateau has made of it.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include <chorale/core/optim/schedule.hpp>
#include <chorale/train/early_stopping.hpp>

namespace chorale {

/// Throws UsageError for keys that the schedule passes over, and where a key that it needs is missing.
void check_schedule(const ScheduleOptions& options, const Registry& registry);

/// One thread. Every rank feeds it the same scores: a pure function of options, scores and the number of the update.
class RateSchedule {
 public:
  /// steps: updates of the run. Throws UsageError where warm-up and schedule do not fit into it.
  RateSchedule(const ScheduleOptions& options, const Registry& registry, std::int64_t steps_per_epoch, std::int64_t steps);

  /// Of the rate, for update `step` (from 1).
  double factor(std::int64_t step) const;
  /// Scores of an evaluation after update `step`; true: the rate is lower from now on.
  bool take(const Scores& scores, std::int64_t step);
  /// The scores that it needs, as train.metrics names them; empty: none.
  std::string metric() const { return plateau_.active() ? plateau_.metric() : ""; }
  /// Its length depends on the rows of the run.
  bool depends_on_rows() const;
  /// "cosine over 1000 updates, warm-up over the first 100"; empty: the rate stays as it is.
  std::string text() const;

  // What a checkpoint keeps.
  std::int64_t steps() const { return steps_; }
  struct Plateau {
    double level = 1, best = std::numeric_limits<double>::quiet_NaN();
    std::int64_t best_step = 0, without_improvement = 0;
  };
  Plateau plateau() const { return {level_, plateau_.best, plateau_.best_step, plateau_.without_improvement()}; }
  void restore(const Plateau& p) {
    level_ = p.level;
    plateau_.restore(p.best, p.best_step, p.without_improvement);
  }

 private:
  ScheduleOptions options_;
  const ScheduleEntry& entry_;
  std::int64_t warmup_ = 0, steps_ = 0;  // all, warm-up included
  std::vector<std::int64_t> drops_;      // updates behind warm-up
  EarlyStopping plateau_;
  double level_ = 1;  // that drops of a plateau have left
};

}  // namespace chorale
