// Time that has passed.
#pragma once
#include <chrono>

namespace chorale {

/// In milliseconds.
inline double ms_since(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
}

}  // namespace chorale
