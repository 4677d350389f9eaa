#include <chorale/train/batch_cut.hpp>

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>

namespace chorale {

void BatchCut::take(std::span<const std::int64_t> batch) {
  rows_ = batch;
  if (costs_.empty()) return;
  assign(batch);
  first_.assign(static_cast<std::size_t>(workers_) + 1, 0);
  for (const std::size_t worker : worker_of_) ++first_[worker + 1];
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  ordered_.resize(batch.size());
  std::vector<std::int64_t> next(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < batch.size(); ++i) ordered_[static_cast<std::size_t>(next[worker_of_[i]]++)] = batch[i];
  rows_ = ordered_;
}

void BatchCut::assign(std::span<const std::int64_t> batch) {
  const auto cost = [&](std::size_t i) { return costs_[static_cast<std::size_t>(batch[i])]; };
  dearest_.resize(batch.size());
  std::iota(dearest_.begin(), dearest_.end(), std::size_t{0});
  std::stable_sort(dearest_.begin(), dearest_.end(), [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  using Load = std::tuple<double, std::size_t, std::size_t>;  // cost, rows, worker
  std::priority_queue<Load, std::vector<Load>, std::greater<>> least;
  for (std::size_t v = 0; v < static_cast<std::size_t>(workers_); ++v) least.emplace(0.0, 0, v);
  worker_of_.resize(batch.size());
  for (const std::size_t i : dearest_) {
    const auto [load, rows, worker] = least.top();
    least.pop();
    worker_of_[i] = worker;
    least.emplace(load + cost(i), rows + 1, worker);
  }
}

Share BatchCut::of(std::int64_t v) const {
  if (costs_.empty()) return share_of(static_cast<std::int64_t>(rows_.size()), v, workers_);
  const std::int64_t first = first_[static_cast<std::size_t>(v)];
  return {first, first_[static_cast<std::size_t>(v) + 1] - first};
}

}  // namespace chorale
