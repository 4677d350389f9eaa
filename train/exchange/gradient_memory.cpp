#include <chorale/train/exchange/gradient_memory.hpp>

#include <algorithm>

#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

GradientMemory::GradientMemory(const Setup& setup) : setup_(setup), stride_((setup.elements + 15) / 16 * 16) {
  Communicator& comm = setup_.comm;
  const int size = comm.size(), first = comm.rank() - comm.node().rank();
  std::vector<Share> workers(static_cast<std::size_t>(comm.node_count()));
  for (int r = 0; r < size; ++r) {
    const Share held = workers_of(r, size, setup_.virtual_workers);
    Share& of = workers[static_cast<std::size_t>(comm.node_of(r))];
    if (of.count == 0) of.first = held.first;
    of.count += held.count;
  }
  for (const Share& share : workers) by_node_.push_back(maximal_subtrees(setup_.virtual_workers, share));
  std::vector<Subtree> here;
  for (int local = 0; local < comm.node().size(); ++local) {
    const auto held = maximal_subtrees(setup_.virtual_workers, workers_of(first + local, size, setup_.virtual_workers));
    counts_.push_back(static_cast<std::int64_t>(held.size()));
    here.insert(here.end(), held.begin(), held.end());
  }
  std::int64_t slots = 1;
  for (const Subtree& root : by_node_[static_cast<std::size_t>(comm.node_index())]) {
    trees_.emplace_back(root, here);
    slots = std::max(slots, trees_.back().scratch_slots());
  }
  mine_ = counts_[static_cast<std::size_t>(comm.node().rank())];
  memory_ = comm.node().allocate((setup_.doubled ? 2 : 1) * mine_ * stride_, setup_.dtype);
  scratch_ = Tensor::empty(setup_.device, {slots, kBlockElements}, setup_.dtype);
}

std::span<const Buffer> GradientMemory::begin() {
  parity_ = setup_.doubled ? 1 - parity_ : 0;
  targets_.clear();
  for (std::int64_t c = 0; c < mine_; ++c) targets_.push_back(memory_.mine.part((parity_ * mine_ + c) * stride_, setup_.elements));
  bases_.clear();
  for (std::size_t local = 0; local < counts_.size(); ++local)
    for (std::int64_t c = 0; c < counts_[local]; ++c)
      bases_.push_back(memory_.peers[local].part((parity_ * counts_[local] + c) * stride_, setup_.elements).data);
  return targets_;
}

template <class T>
const T* GradientMemory::sum(std::size_t i, std::int64_t first, std::int64_t n) {
  const auto add = [&](const T* a, const T* b, T* c, std::int64_t m) { setup_.device.typed<T>().add(a, b, c, m); };
  return trees_[i].sum(bases_, first, n, scratch_.data<T>(), kBlockElements, add);
}
template const float* GradientMemory::sum<float>(std::size_t, std::int64_t, std::int64_t);
template const double* GradientMemory::sum<double>(std::size_t, std::int64_t, std::int64_t);

}  // namespace chorale
