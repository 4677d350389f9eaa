#include <chorale/train/collab/label_space.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <chorale/core/base/error.hpp>

namespace chorale {

void check_label_spaces(const StrategySetup& setup) {
  const std::int64_t mine[] = {setup.number, static_cast<std::int64_t>(setup.loss.task()), setup.outputs};
  std::vector<std::int64_t> all(3 * static_cast<std::size_t>(setup.sharing.size()));
  const std::vector<std::int64_t> three(static_cast<std::size_t>(setup.sharing.size()), 3);
  setup.sharing.all_gather({const_cast<std::int64_t*>(mine), 3, DType::i64, {}}, buffer_of(std::span(all)), three, "label spaces").wait();
  const auto text = [&](std::size_t at) {
    const auto kind = static_cast<Loss::Task>(all[at + 1]);
    const std::string& name = setup.tasks[static_cast<std::size_t>(all[at])].name;
    if (kind == Loss::Task::value) return fmt::format("{} (a number)", name);
    return kind == Loss::Task::binary ? fmt::format("{} (yes or no)", name) : fmt::format("{} ({} classes)", name, all[at + 2]);
  };
  for (std::size_t at = 0; at < all.size(); at += 3) {
    const bool is_same = all[at + 1] == all[1] && all[at + 2] == all[2];
    if (is_same && static_cast<Loss::Task>(all[at + 1]) != Loss::Task::value) continue;
    throw UsageError("collab.strategy = distill needs one label space for all tasks: " + text(0) + " and " +
                     text(is_same ? all.size() - 3 : at) +
                     " do not fit; it is for classes, the same in each task: take store, or leave the other task out");
  }
}

double distill_weight(const CollabOptions& options, const Tick& tick) {
  const SharingPlan& plan = options.plan;
  if (tick.burns_in) return 0;
  const double ramp = options.distill.ramp * static_cast<double>(plan.ticks);
  const double since = static_cast<double>(tick.number - plan.burn_in_ticks);
  return options.distill.weight * (ramp > 0 ? std::min(1.0, since / ramp) : 1);
}

}  // namespace chorale
