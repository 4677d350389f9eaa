#include <chorale/train/straggler.hpp>

#include <algorithm>
#include <cstdio>

namespace chorale {

namespace {
constexpr std::int64_t kLeastSteps = 50;
constexpr double kWindowMs = 1000;
constexpr double kClear = 1.25;      // times the others' median
constexpr double kClearShare = 0.1;  // of a step, lost by everybody

double work_of(const Phases& p) { return p.data + p.forward + p.backward + p.update; }
}  // namespace

std::optional<std::string> Straggler::add(std::span<const Phases> phases, double step_ms) {
  if (phases.size() < 2) return std::nullopt;
  work_ms_.resize(phases.size());
  for (std::size_t r = 0; r < phases.size(); ++r) work_ms_[r] += work_of(phases[r]);
  wall_ms_ += step_ms;
  if (++steps_ < wanted_steps_ || wall_ms_ < kWindowMs) return std::nullopt;
  const std::optional<std::string> out = judge();
  std::fill(work_ms_.begin(), work_ms_.end(), 0.0);
  wall_ms_ = 0, steps_ = 0;
  return out;
}

std::optional<std::string> Straggler::judge() {
  const auto slowest = std::max_element(work_ms_.begin(), work_ms_.end());
  const int rank = static_cast<int>(slowest - work_ms_.begin());
  std::vector<double> others;
  for (std::size_t r = 0; r < work_ms_.size(); ++r)
    if (static_cast<int>(r) != rank) others.push_back(work_ms_[r]);
  std::nth_element(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(others.size() / 2), others.end());
  const double median = others[others.size() / 2], lost = *slowest - median;
  if (*slowest < kClear * median || lost < kClearShare * wall_ms_) return std::nullopt;
  wanted_steps_ = 10 * (rank == last_ ? wanted_steps_ : kLeastSteps);
  last_ = rank;
  const double steps = static_cast<double>(steps_);
  char text[256];
  std::snprintf(text, sizeof text,
                "rank %d is slower than the others: its part of a step takes %.3g ms, theirs %.3g ms; they wait for it %.0f %% of the time",
                rank, *slowest / steps, median / steps, std::min(100.0, 100 * lost / wall_ms_));
  return text;
}

}  // namespace chorale
