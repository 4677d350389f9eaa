#include <chorale/core/io/retention.hpp>

#include <algorithm>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>

namespace chorale {

namespace {

/// Steps by score, the best first.
std::vector<std::int64_t> ranking(std::span<const RatedCheckpoint> checkpoints) {
  const RatedCheckpoint* newest = nullptr;
  for (const RatedCheckpoint& c : checkpoints)
    if (c.score && (!newest || c.step > newest->step)) newest = &c;
  if (!newest) return {};
  std::vector<std::pair<double, std::int64_t>> rated;  // less is better, then earlier
  for (const RatedCheckpoint& c : checkpoints)
    if (c.score && c.score->name == newest->score->name)
      rated.emplace_back(newest->score->higher_is_better ? -c.score->value : c.score->value, c.step);
  std::sort(rated.begin(), rated.end());
  std::vector<std::int64_t> steps;
  for (const auto& [value, step] : rated) steps.push_back(step);
  return steps;
}

}  // namespace

std::vector<std::int64_t> outdated(std::span<const RatedCheckpoint> checkpoints, const Retention& retention) {
  std::vector<std::int64_t> steps;
  for (const RatedCheckpoint& c : checkpoints) steps.push_back(c.step);
  std::sort(steps.begin(), steps.end());
  const auto most = static_cast<std::ptrdiff_t>(steps.size());
  std::set<std::int64_t> kept(steps.end() - std::min<std::ptrdiff_t>(most, std::max<std::int64_t>(retention.last, 1)), steps.end());
  const std::vector<std::int64_t> best = ranking(checkpoints);
  kept.insert(best.begin(), best.begin() + std::min<std::ptrdiff_t>(std::ssize(best), std::max<std::int64_t>(retention.best, 0)));
  std::erase_if(steps, [&](std::int64_t step) { return kept.contains(step) || (retention.every > 0 && step % retention.every == 0); });
  return steps;
}

std::vector<RatedCheckpoint> rated_checkpoints(const std::filesystem::path& checkpoints) {
  std::vector<RatedCheckpoint> out;
  for (const std::int64_t step : list_checkpoints(checkpoints).steps) {
    out.push_back({step, std::nullopt});
    try {
      out.back().score = read_manifest(checkpoints / checkpoint_name(step)).score;
    } catch (const Error&) {
    }
  }
  return out;
}

}  // namespace chorale
