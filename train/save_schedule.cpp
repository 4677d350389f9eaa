#include <chorale/train/save_schedule.hpp>

#include <algorithm>
#include <cmath>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
constexpr double kFirst_s = 30;        // of auto: the first one shows what they cost
constexpr double kLeastCost_s = 1e-4;  // below what a clock of steps can tell
}  // namespace

double best_interval_s(double cost_s, double mtbf_s) {
  if (cost_s >= 2 * mtbf_s) return mtbf_s;
  const double ratio = cost_s / (2 * mtbf_s);
  return std::sqrt(2 * cost_s * mtbf_s) * (1 + std::sqrt(ratio) / 3 + ratio / 9) - cost_s;
}

SaveSchedule::SaveSchedule(const CheckpointOptions& options, std::int64_t steps_per_epoch, double now_s)
    : options_(options), per_epoch_(steps_per_epoch), begun_s_(now_s) {
  const bool automatic = options.every == "auto";
  if (automatic && (options.every_steps > 0 || options.every_seconds > 0))
    throw UsageError(std::string(options.every_steps > 0 ? "checkpoint.every_steps" : "checkpoint.every_seconds") +
                     " does nothing with checkpoint.every = auto; remove one of them");
  interval_s_ = automatic ? kFirst_s : options.every_seconds;
}

bool SaveSchedule::is_due(std::int64_t step) const {
  if (step == asked_) return true;
  if (options_.every_steps > 0) return step % options_.every_steps == 0;
  return interval_s_ == 0 && options_.every_epochs > 0 && step % (per_epoch_ * options_.every_epochs) == 0;
}

bool SaveSchedule::is_wanted(double now_s) const { return interval_s_ > 0 && !is_open_ && !is_asked_ && now_s - begun_s_ >= interval_s_; }

bool SaveSchedule::has_news() {
  constexpr double kQuite = 2;
  if (cost_s_ < 0 || (interval_s_ < told_s_ * kQuite && told_s_ < interval_s_ * kQuite)) return false;
  told_s_ = interval_s_;
  return true;
}

void SaveSchedule::ended(double cost_s) {
  is_open_ = false;
  if (options_.every != "auto") return;
  cost_s = std::max(cost_s, kLeastCost_s);
  cost_s_ = cost_s_ < 0 ? cost_s : cost_s_ + 0.3 * (cost_s - cost_s_);
  interval_s_ = best_interval_s(cost_s_, options_.mtbf_hours * 3600);
}

}  // namespace chorale
