#include <chorale/comm/last_seen.hpp>

#include <cstdio>

namespace chorale {

std::string LastSeen::text() const {
  char ago[48];
  std::snprintf(ago, sizeof ago, ", %.1f s ago", seconds_ago);
  std::string out = is_stopped ? "its process is stopped, last seen in " : "last seen in ";
  out += seen.place() + ago;
  if (seen.step > 0) out += " (step " + std::to_string(seen.step) + ")";
  return out;
}

}  // namespace chorale
