// A number as JSON says it.
#pragma once
#include <charconv>
#include <cmath>
#include <string>

namespace chorale {

/// The shortest text that reads back to the same bits; "null" for NaN and infinities, which JSON has not.
inline std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

}  // namespace chorale
