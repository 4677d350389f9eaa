// How many steps each task makes between two ticks: a slow task makes fewer, instead of keeping the others waiting.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace chorale {

/// step_ms: by task, above 0. K_t = max(1, round(every * t_min / t_t)); `every` is lowered first where a tick would last longer than
/// `limit_s`. Source: docs/collaborative.md.
std::vector<std::int64_t> steps_per_tick(std::int64_t every, const std::vector<double>& step_ms, double limit_s);

/// Ticks of the whole run: until the task with most to do has made its steps. A task that begins after `burn_in` (a share of all ticks) has
/// only the rest for its own.
struct TickCount {
  std::int64_t ticks = 0, burn_in = 0;
};
TickCount count_ticks(const std::vector<std::int64_t>& steps, const std::vector<std::int64_t>& per_tick,
                      const std::vector<bool>& begins_late, double burn_in);

}  // namespace chorale
