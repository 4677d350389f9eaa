// The schedules. Sources: cosine, Loshchilov & Hutter 2017 (SGDR, one cycle of it); one_cycle, Smith & Topin 2018, as
// torch.optim.lr_scheduler.OneCycleLR; warmup_stable_decay, Hu et al. 2024 (MiniCPM); the others are common.
#include <chorale/core/optim/schedule.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace chorale {

namespace {

/// Share of the way that is behind the update, at most 1.
double share(const SchedulePoint& p) { return std::min(1.0, static_cast<double>(p.done) / static_cast<double>(p.steps)); }

/// From `from` to `to` along half a cosine, x in [0, 1].
double along_cosine(double from, double to, double x) { return to + (from - to) * (1 + std::cos(std::numbers::pi * x)) / 2; }

double constant(const ScheduleOptions&, const SchedulePoint&) { return 1; }
double cosine(const ScheduleOptions& o, const SchedulePoint& p) { return along_cosine(1, o.end_factor, share(p)); }
double linear(const ScheduleOptions& o, const SchedulePoint& p) { return o.end_factor + (1 - o.end_factor) * (1 - share(p)); }

double polynomial(const ScheduleOptions& o, const SchedulePoint& p) {
  return o.end_factor + (1 - o.end_factor) * std::pow(1 - share(p), o.power);
}

double step(const ScheduleOptions& o, const SchedulePoint& p) {
  double factor = 1;
  for (const std::int64_t drop : p.drops) factor *= p.done >= drop ? o.drop_factor : 1;
  return factor;
}

double one_cycle(const ScheduleOptions& o, const SchedulePoint& p) {
  const double last = static_cast<double>(p.steps) - 1, peak = std::clamp(o.rise_share * static_cast<double>(p.steps) - 1, 0.0, last);
  const double done = std::min(static_cast<double>(p.done), last);
  if (done < peak) return along_cosine(o.start_factor, 1, done / peak);
  return last > peak ? along_cosine(1, o.end_factor, (done - peak) / (last - peak)) : 1;
}

double warmup_stable_decay(const ScheduleOptions& o, const SchedulePoint& p) {
  const double left = 1 - share(p);
  return left >= o.cooldown_share ? 1 : o.end_factor + (1 - o.end_factor) * left / o.cooldown_share;
}

}  // namespace

void register_schedules(Registry& registry) {
  auto& all = registry.of<ScheduleEntry>();
  all.add("constant", {"the rate as it is", {}, constant});
  all.add("cosine", {"half a cosine down to end_factor", {"schedule_steps", "end_factor"}, cosine});
  all.add("linear", {"a line down to end_factor", {"schedule_steps", "end_factor"}, linear});
  all.add("polynomial", {"(1 - share)^power down to end_factor", {"schedule_steps", "end_factor", "power"}, polynomial});
  all.add("step", {"times drop_factor at each epoch of drop_at", {"drop_at", "drop_factor"}, step});
  all.add("one_cycle", {.help = "up from start_factor over rise_share of the way, then down to end_factor",
                        .reads = {"schedule_steps", "end_factor", "rise_share", "start_factor"},
                        .factor = one_cycle,
                        .warms_up = false});
  all.add("plateau", {.help = "times drop_factor, down to end_factor, when a validation score no longer improves",
                      .reads = {"plateau", "drop_factor", "end_factor"},
                      .factor = constant,
                      .follows_score = true});
  all.add("warmup_stable_decay", {"the rate as it is, and a line down to end_factor over the last cooldown_share",
                                  {"schedule_steps", "end_factor", "cooldown_share"},
                                  warmup_stable_decay});
}

}  // namespace chorale
