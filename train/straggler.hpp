// A rank that is slower than the others by a clear share, found in the phases that ranks tell each other anyway. Nothing is done about it:
// it is named, with what the others lose by waiting.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/train/callback.hpp>

namespace chorale {

/// One thread, of the rank that speaks.
class Straggler {
 public:
  /// After each step: the phases of every rank and the step's wall time. What to say at the end of a window of at least 50 steps and a
  /// second; windows grow while the same rank stays behind.
  std::optional<std::string> add(std::span<const Phases> phases, double step_ms);

 private:
  std::optional<std::string> judge();
  std::vector<double> work_ms_;  // by rank
  double wall_ms_ = 0;
  std::int64_t steps_ = 0, wanted_steps_ = 50;
  int last_ = -1;
};

}  // namespace chorale
