#include <chorale/train/arena_memory.hpp>

#include <cstring>

namespace chorale {

ArenaMemory::ArenaMemory(Communicator& comm, const FlatParams& params, const Optimizer& optimizer, bool is_private)
    : comm_(comm), device_(params.device()), dtype_(params.dtype()), private_(is_private) {
  values_ = allocate(params.elements());
  for (std::size_t i = 0; i < optimizer.state_names().size(); ++i) state_.push_back(allocate(params.trainable_elements()));
}

Buffer ArenaMemory::allocate(std::int64_t elements) {
  if (private_) return own_.emplace_back(Tensor::zeros(device_, {elements}, dtype_)).buffer();
  shared_.push_back(comm_.node().allocate(comm_.node().rank() == 0 ? elements : 0, dtype_));
  return shared_.back().peers[0];
}

void ArenaMemory::take(const ArenaMemory& other) {
  copy_together(comm_.node(), values_, other.values_, private_);
  for (std::size_t i = 0; i < state_.size(); ++i) copy_together(comm_.node(), state_[i], other.state_[i], private_);
}

void copy_together(Communicator& node, Buffer to, Buffer from, bool to_is_private) {
  const Share part = to_is_private ? Share{0, to.elements} : share_of(to.elements, node.rank(), node.size());
  node.barrier("before copying").wait();
  const Buffer target = to.part(part.first, part.count);
  if (part.count > 0) std::memcpy(target.data, from.part(part.first, part.count).data, target.bytes());
  node.barrier("copied").wait();
}

}  // namespace chorale
