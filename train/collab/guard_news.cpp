#include <chorale/train/collab/guard_news.hpp>

#include <fmt/format.h>

#include <utility>

namespace chorale {

GuardNews::GuardNews(Log& log, std::string task, std::vector<Source> sources)
    : log_(log), task_(std::move(task)), sources_(std::move(sources)), counts_(sources_.size()) {}

void GuardNews::hear(const GuardEvent& event) {
  Count& count = counts_[static_cast<std::size_t>(event.source)];
  const auto& [peer, kind] = sources_[static_cast<std::size_t>(event.source)];
  count.is_open = event.opens, count.last = event.validation;
  if (event.opens) {
    ++count.trials;
    return;
  }
  if (count.closings++ > 0) return;
  log_.info(
      fmt::format("{} no longer hears {} about {}s: its validation loss is {:.2g} +- {:.2g} higher with it ({} entities); it is tried "
                  "again after three validations, and trials are counted at the end",
                  task_, peer, kind, -event.benefit.mean, event.benefit.error, event.benefit.entities));
}

void GuardNews::end() {
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    const Count& count = counts_[s];
    if (count.trials == 0) continue;
    log_.info(fmt::format("{} closed {} about {}s {} times and tried it again {} times, last at validation {}; it {}", task_,
                          sources_[s].peer, sources_[s].kind, count.closings, count.trials, count.last,
                          count.is_open ? "hears it now" : "does not hear it now"));
  }
}

}  // namespace chorale
