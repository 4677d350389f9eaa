// How the learning rate goes over a run, as factors of optimizer.lr: pure functions of the number of the update, in the Registry by name.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>

namespace chorale {

/// Keys of [optimizer].
struct ScheduleOptions {
  std::string name = "constant";
  std::int64_t warmup_steps = 0;
  double warmup_epochs = 0;
  std::int64_t steps = 0;                                       // that it stretches over; 0: all of the run
  double end_factor = 0;                                        // what is left of the rate at its end
  double power = 2;                                             // of polynomial
  double rise_share = 0.3, start_factor = 0.04;                 // of one_cycle
  double cooldown_share = 0.1;                                  // of warmup_stable_decay
  std::vector<std::string> drop_at = {};                        // of step: epochs
  double drop_factor = 0.1;                                     // of step and plateau
  std::vector<std::string> plateau = {"validation.loss", "5"};  // a score, evaluations without improvement
};

/// Where an update lies: `done` of `steps` are behind it, warm-up apart. drops: of `step`, in updates as `done` counts them.
struct SchedulePoint {
  std::int64_t done = 0, steps = 1;
  std::span<const std::int64_t> drops = {};
};

/// In the Registry under the recipe name.
struct ScheduleEntry {
  std::string help;
  std::vector<std::string> reads;                                                // keys that not every schedule has: "end_factor"
  double (*factor)(const ScheduleOptions& options, const SchedulePoint& point);  // of the rate, for the update behind `done`
  bool warms_up = true;                                                          // warm-up can come before it
  bool follows_score = false;                                                    // drops by validation scores on top
};

}  // namespace chorale
