#include <chorale/launcher/collab/steps_per_tick.hpp>

#include <algorithm>
#include <cmath>

namespace chorale {

std::vector<std::int64_t> steps_per_tick(std::int64_t every, const std::vector<double>& step_ms, double limit_s) {
  const double fastest = *std::min_element(step_ms.begin(), step_ms.end());
  const auto most = static_cast<std::int64_t>(limit_s * 1000 / fastest);
  const double k = static_cast<double>(std::clamp<std::int64_t>(every, 1, std::max<std::int64_t>(1, most)));
  std::vector<std::int64_t> out;
  for (const double ms : step_ms) out.push_back(std::max<std::int64_t>(1, std::llround(k * fastest / ms)));
  return out;
}

TickCount count_ticks(const std::vector<std::int64_t>& steps, const std::vector<std::int64_t>& per_tick,
                      const std::vector<bool>& begins_late, double burn_in) {
  const auto burn_of = [&](std::int64_t ticks) { return std::llround(burn_in * static_cast<double>(ticks)); };
  TickCount out;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    const std::int64_t own = (steps[t] + per_tick[t] - 1) / per_tick[t];
    std::int64_t all = own;
    while (begins_late[t] && all - burn_of(all) < own) ++all;
    out.ticks = std::max(out.ticks, all);
  }
  out.burn_in = burn_of(out.ticks);
  return out;
}

}  // namespace chorale
