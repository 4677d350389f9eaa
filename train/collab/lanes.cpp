#include <chorale/train/collab/lanes.hpp>

#include <algorithm>
#include <numeric>

#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

namespace {
std::int64_t blocks_of(std::int64_t elements) { return (elements + kBlockElements - 1) / kBlockElements; }
}  // namespace

Lanes::Lanes(Communicator& world, Communicator& task, int number, std::span<const std::int64_t> ranks, std::string_view name)
    : tasks_(static_cast<int>(ranks.size())), count_(static_cast<int>(*std::min_element(ranks.begin(), ranks.end()))) {
  task_ = task.split(0, 0, name);
  // Ranks without a lane stand together in one that is never used: to split is everybody's.
  lane_ = world.split(std::min(task.rank(), count_), number);
  for (const std::int64_t each : ranks) larger_tasks_ += each > 1;
}

Share Lanes::slice_of(int rank, std::int64_t elements) const {
  if (rank >= count_) return {elements, 0};
  const Share blocks = share_of(blocks_of(elements), rank, count_);
  const std::int64_t first = std::min(elements, blocks.first * kBlockElements);
  return {first, std::min(elements, (blocks.first + blocks.count) * kBlockElements) - first};
}

template <class T>
void Lanes::sum(std::span<T> values) {
  const Share mine = slice(static_cast<std::int64_t>(values.size()));
  if (mine.count > 0) {
    const std::span<T> memory = memory_of<T>(mine.count), part = values.subspan(static_cast<std::size_t>(mine.first), memory.size());
    std::copy(part.begin(), part.end(), memory.begin());
    lane().all_reduce(buffer_of(memory), Reduce::sum, "gradients of tasks").wait();
    std::copy(memory.begin(), memory.end(), part.begin());
  }
  spread(values);
}

template <class T>
std::span<T> Lanes::memory_of(std::int64_t elements) {
  if (memory_.mine.elements < elements || memory_.mine.dtype != dtype_of<T>) memory_ = lane().allocate(elements, dtype_of<T>);
  return memory_.mine.part(0, elements).template span<T>();
}

template <class T>
std::vector<T> Lanes::gather_slices(std::span<const T> values) {
  const Share mine = slice(static_cast<std::int64_t>(values.size()));
  if (mine.count == 0) return {};
  std::vector<T> input(values.begin() + mine.first, values.begin() + mine.first + mine.count);
  std::vector<T> out(static_cast<std::size_t>(mine.count * tasks_));
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(tasks_), mine.count);
  lane().all_gather(buffer_of(std::span(input)), buffer_of(std::span(out)), counts, "gradients of tasks").wait();
  return out;
}

template <class T>
void Lanes::spread(std::span<T> values, const std::vector<std::int64_t>& counts) {
  if (task_->size() == 1) return;
  const auto me = counts.begin() + task_->rank();
  const auto first = values.begin() + std::accumulate(counts.begin(), me, std::int64_t{0});
  std::vector<T> input(first, first + *me);
  task_->all_gather(buffer_of(std::span(input)), buffer_of(values), counts, "slices of shared values").wait();
}

template <class T>
void Lanes::spread(std::span<T> values) {
  std::vector<std::int64_t> counts;
  for (int r = 0; r < task_->size(); ++r) counts.push_back(slice_of(r, static_cast<std::int64_t>(values.size())).count);
  spread(values, counts);
}

void Lanes::spread_of_blocks(std::span<double> numbers, std::int64_t per_block, std::int64_t elements) {
  std::vector<std::int64_t> counts;
  for (int r = 0; r < task_->size(); ++r) counts.push_back(blocks_of(slice_of(r, elements).count) * per_block);
  spread(numbers, counts);
}

std::int64_t Lanes::bytes_of_sum(std::int64_t elements, std::int64_t element_bytes) const {
  constexpr std::int64_t kTinyBytes = 1024;
  std::int64_t bytes = bytes_of_spread(elements, element_bytes);
  for (int lane = 0; lane < count_; ++lane) {
    const std::int64_t slice_bytes = slice_of(lane, elements).count * element_bytes;
    bytes += slice_bytes * (slice_bytes <= kTinyBytes ? tasks_ : tasks_ - 1);
  }
  return bytes;
}

std::int64_t Lanes::bytes_of_spread(std::int64_t elements, std::int64_t element_bytes) const {
  return larger_tasks_ * elements * element_bytes;
}

template void Lanes::sum(std::span<float>);
template void Lanes::sum(std::span<double>);
template std::vector<float> Lanes::gather_slices(std::span<const float>);
template std::vector<double> Lanes::gather_slices(std::span<const double>);
template void Lanes::spread(std::span<float>);
template void Lanes::spread(std::span<double>);

}  // namespace chorale
