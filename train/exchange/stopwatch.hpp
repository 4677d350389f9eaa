// Milliseconds between laps.
#pragma once
#include <chrono>
#include <utility>

namespace chorale {

class Stopwatch {
 public:
  /// Since construction or the last lap.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(from_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point from_ = std::chrono::steady_clock::now();
};

}  // namespace chorale
