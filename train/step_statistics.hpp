// Times of steps: percentiles, the median of each phase, samples per second without the first steps.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/train/callback.hpp>

namespace chorale {

class StepStatistics {
 public:
  /// One step: its wall time, its samples, and the phases of every rank (maxima are taken here).
  void add(double step_ms, std::int64_t samples, std::span<const Phases> phases);
  /// Fills samples_per_second, step_ms and phases_ms of a summary.
  void fill(Summary& summary) const;
  double recent_step_ms() const { return recent_ms_; }

 private:
  std::vector<float> times_;
  std::vector<Phases> worst_;
  std::vector<std::int64_t> samples_;
  std::int64_t seen_ = 0, stride_ = 1;  // of a long run every stride-th step is kept
  double recent_ms_ = 0;
};

/// Componentwise least, mean and greatest.
struct PhaseSpread {
  Phases min, mean, max;
};
PhaseSpread spread_of(std::span<const Phases> phases);

}  // namespace chorale
