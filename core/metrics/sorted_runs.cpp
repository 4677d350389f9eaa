#include <chorale/core/metrics/sorted_runs.hpp>

#include <algorithm>
#include <cmath>

namespace chorale {

namespace {

constexpr std::size_t kSmallestSort = 4096;

bool before(const ScoreRun& a, const ScoreRun& b) { return a.score != b.score ? a.score < b.score : a.weight < b.weight; }

void put_in_order(std::vector<ScoreRun>& runs, std::size_t sorted) {
  const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(sorted);
  std::sort(middle, runs.end(), before);
  std::inplace_merge(runs.begin(), middle, runs.end(), before);
  std::size_t last = 0;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    if (before(runs[last], runs[i])) {
      runs[++last] = runs[i];
    } else {
      runs[last].positives += runs[i].positives;
      runs[last].negatives += runs[i].negatives;
    }
  }
  if (!runs.empty()) runs.resize(last + 1);
}

}  // namespace

void SortedRuns::add(double score, bool positive, double weight) {
  if (std::isnan(score) || std::isnan(weight)) {
    ++undefined_;
    return;
  }
  push({.score = score + 0.0, .weight = weight, .positives = positive, .negatives = !positive});  // + 0.0: -0 is 0
}

void SortedRuns::push(const ScoreRun& run) {
  runs_.push_back(run);
  if (runs_.size() < 2 * sorted_ + kSmallestSort) return;
  put_in_order(runs_, sorted_);
  sorted_ = runs_.size();
}

std::vector<ScoreRun> SortedRuns::runs() const {
  std::vector<ScoreRun> out = runs_;
  put_in_order(out, sorted_);
  return out;
}

void SortedRuns::write(StateWriter& out) const {
  const std::vector<ScoreRun> all = runs();
  out.put(undefined_);
  out.put(static_cast<std::uint64_t>(all.size()));
  out.put_all(std::span<const ScoreRun>(all));
}

void SortedRuns::merge(StateReader& in) {
  undefined_ += in.get<std::int64_t>();
  const auto count = in.get<std::uint64_t>();
  for (const ScoreRun& run : in.get_all<ScoreRun>(count)) push(run);
}

}  // namespace chorale
