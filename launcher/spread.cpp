#include <chorale/launcher/spread.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace chorale {

Spread spread_of(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const std::size_t last = samples.size() - 1;
  return {.min = samples.front(),
          .median = (samples[last / 2] + samples[(last + 1) / 2]) / 2,
          .p95 = samples[(last * 95 + 50) / 100],
          .max = samples.back(),
          .empty = false};
}

std::string json(const Spread& spread) {
  return fmt::format("{{\"min\": {:.6g}, \"median\": {:.6g}, \"p95\": {:.6g}}}", spread.min, spread.median, spread.p95);
}

}  // namespace chorale
