#include <chorale/launcher/collab/collab_pace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/lockstep.hpp>

namespace chorale {

namespace {

constexpr double kLongestTickS = 5;

class Pace {
 public:
  explicit Pace(const PaceSetup& setup) : setup_(setup) {}

  CollabPace agree() {
    CollabPace out;
    out.workers = setup_.resumed ? setup_.resumed->virtual_workers : whole(static_cast<double>(setup_.workers));
    out.per_tick = setup_.recipe.pinned_steps();
    if (setup_.resumed) check_resumed(out.per_tick);
    if (setup_.resumed) out.per_tick = setup_.resumed->steps_per_tick;
    if (out.per_tick.empty()) out.per_tick = measured();
    std::vector<bool> late;
    for (const TaskInfo& info : setup_.infos) late.push_back(info.role == TaskRole::target);
    out.ticks = count_ticks(whole(static_cast<double>(setup_.steps)), out.per_tick, late, setup_.recipe.settings.burn_in);
    if (setup_.resumed) out.ticks.burn_in = setup_.resumed->burn_in;
    if (out.ticks.ticks == 0) throw UsageError("no task has a step to make; give train.epochs or train.steps");
    return out;
  }

 private:
  bool speaks() const { return setup_.world.rank() == 0; }

  std::vector<std::int64_t> measured() const {
    const std::vector<double> times = numbers(setup_.trial_step_ms()), limits = numbers(std::min(kLongestTickS, setup_.longest_tick_s));
    const double shortest = *std::min_element(limits.begin(), limits.end());
    const bool waits = goes_in_lockstep(setup_.recipe);
    const std::vector<double> paces = waits ? std::vector<double>(times.size(), *std::max_element(times.begin(), times.end())) : times;
    const std::int64_t every = setup_.recipe.settings.every;
    const std::vector<std::int64_t> out = steps_per_tick(every, paces, shortest);
    if (!speaks()) return out;
    const std::vector<std::string> names = task_names(setup_.infos);
    const std::string waiting = waits ? waiting_text(names, times) : "";
    if (waits) setup_.log.info("lock-step: every step waits for all tasks; " + (waiting.empty() ? "they are equally fast" : waiting));
    const std::int64_t most = *std::max_element(out.begin(), out.end());
    if (most < every)
      setup_.log.warning(
          fmt::format("collab.every = {} would make a tick last longer than {:.1f} s; it is lowered to {}", every, shortest, most));
    std::string text;
    for (std::size_t t = 0; t < out.size(); ++t) text += fmt::format("{}{}:{}", t ? " " : "", names[t], out[t]);
    setup_.log.info("collab.steps_per_tick = " + text);
    return out;
  }

  void check_resumed(const std::vector<std::int64_t>& pinned) const {
    for (const auto& [key, value] : setup_.recipe.identity()) {
      const auto old = setup_.resumed->identity.find(key);
      if (old != setup_.resumed->identity.end() && old->second != value)
        throw UsageError("--resume: " + key + " is '" + value + "', the checkpoint was made with '" + old->second +
                         "'; keep it, or start a new run");
    }
    if (!pinned.empty() && pinned != setup_.resumed->steps_per_tick)
      throw UsageError("--resume: collab.steps_per_tick differs from the checkpoint's; keep it, or leave it out");
  }

  std::vector<double> numbers(double mine) const { return by_task(setup_.sharing, setup_.task_of, mine); }

  std::vector<std::int64_t> whole(double mine) const {
    std::vector<std::int64_t> out;
    for (const double each : numbers(mine)) out.push_back(std::llround(each));
    return out;
  }

  const PaceSetup& setup_;
};

}  // namespace

std::vector<double> by_task(Communicator& sharing, const std::vector<int>& task_of, double mine) {
  std::vector<double> all(task_of.size());
  const std::vector<std::int64_t> one(all.size(), 1);
  sharing.all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(all)), one, "plan").wait();
  std::vector<double> out(static_cast<std::size_t>(*std::max_element(task_of.begin(), task_of.end())) + 1);
  for (std::size_t r = all.size(); r-- > 0;) out[static_cast<std::size_t>(task_of[r])] = all[r];
  return out;
}

CollabPosition position_at(std::int64_t tick, const CollabPace& pace, const std::map<std::string, std::string>& identity) {
  return {.tick = tick,
          .burn_in = pace.ticks.burn_in,
          .steps_per_tick = pace.per_tick,
          .steps = {},
          .virtual_workers = pace.workers,
          .identity = identity};
}

std::vector<std::string> task_names(const std::vector<TaskInfo>& tasks) {
  std::vector<std::string> out;
  for (const TaskInfo& task : tasks) out.push_back(task.name);
  return out;
}

CollabPace agree_on_pace(const PaceSetup& setup) { return Pace(setup).agree(); }

}  // namespace chorale
