// How long a rank that does not get on is waited for within steps, once it is known what a step takes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include <chorale/train/callback.hpp>

namespace chorale {

/// One thread. Phases are equal on all ranks, and so are deadlines.
class StepDeadline {
 public:
  explicit StepDeadline(double watchdog_seconds) : most_ms_(1000 * watchdog_seconds), ms_(most_ms_) {}
  /// After each step: the phases of every rank. True when ms() has changed.
  bool add(std::span<const Phases> phases) {
    const double before = slowest_ms_;
    for (const Phases& p : phases) slowest_ms_ = std::max({slowest_ms_, p.data, p.forward, p.backward, p.communicate, p.update});
    if (++steps_ < kSteps || (steps_ > kSteps && slowest_ms_ == before)) return false;
    ms_ = std::min(most_ms_, std::max(kLeastMs, kTimes * slowest_ms_));
    return true;
  }
  std::int64_t ms() const { return static_cast<std::int64_t>(ms_); }

 private:
  static constexpr std::int64_t kSteps = 50;
  static constexpr double kLeastMs = 10000, kTimes = 20;
  double most_ms_, ms_, slowest_ms_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace chorale
