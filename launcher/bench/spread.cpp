#include <chorale/launcher/bench/spread.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace chorale {

Spread spread_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const std::size_t last = samples.size() - 1;
  return {samples.front(), samples[last / 2], samples[(last * 95 + 50) / 100], false};
}

std::string json(const Spread& spread) {
  return fmt::format("{{\"min\": {:.6g}, \"median\": {:.6g}, \"p95\": {:.6g}}}", spread.min, spread.median, spread.p95);
}

}  // namespace chorale
