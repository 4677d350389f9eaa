#include <chorale/train/arena_memory.hpp>

#include <unistd.h>

#include <cstring>

namespace chorale {

ArenaMemory::ArenaMemory(Communicator& comm, const FlatParams& params, const Optimizer& optimizer, bool is_private, const CopyPlan& plan)
    : comm_(comm), device_(params.device()), dtype_(params.dtype()), private_(is_private) {
  if (private_) {
    values_ = allocate(params.elements());
  } else {
    const int local = comm_.node().rank();
    state_writers_ = {local, comm_.node().size()};
    values_writers_ = {plan.place_of(local), plan.ranks_beside(local)};
    allocate_copies(params.elements(), plan);
    touch_values();
  }
  for (std::size_t i = 0; i < optimizer.state_names().size(); ++i) state_.push_back(allocate(params.trainable_elements()));
}

Buffer ArenaMemory::allocate(std::int64_t elements) {
  if (private_) return own_.emplace_back(Tensor::zeros(device_, {elements}, dtype_)).buffer();
  shared_.push_back(comm_.node().allocate(comm_.node().rank() == 0 ? elements : 0, dtype_));
  return shared_.back().peers[0];
}

void ArenaMemory::allocate_copies(std::int64_t elements, const CopyPlan& plan) {
  shared_.push_back(comm_.node().allocate(values_writers_.place == 0 ? elements : 0, dtype_));
  for (const int copy : plan.copy_of) copies_.push_back(shared_.back().peers[static_cast<std::size_t>(plan.first_of(copy))]);
  values_ = copies_[static_cast<std::size_t>(comm_.node().rank())];
}

void ArenaMemory::touch_values() {
  const auto page = static_cast<std::int64_t>(sysconf(_SC_PAGESIZE)), bytes = static_cast<std::int64_t>(values_.bytes());
  const Share mine = share_of((bytes + page - 1) / page, values_writers_.place, values_writers_.count);
  for (std::int64_t i = mine.first; i < mine.first + mine.count; ++i) static_cast<volatile char*>(values_.data)[i * page] = 0;
  comm_.node().barrier("first touch").wait();  // before anybody fills it
}

void ArenaMemory::spread_filled() {
  if (private_ || copies_[0].data == values_.data) {
    comm_.node().barrier("before copying").wait();
    comm_.node().barrier("copied").wait();
  } else {
    copy_together(comm_.node(), values_, copies_[0], values_writers_);
  }
}

void ArenaMemory::take(const ArenaMemory& other) {
  copy_together(comm_.node(), values_, other.values_, values_writers_);
  for (std::size_t i = 0; i < state_.size(); ++i) copy_together(comm_.node(), state_[i], other.state_[i], state_writers_);
}

void copy_together(Communicator& node, Buffer to, Buffer from, Writers writers) {
  const Share part = share_of(to.elements, writers.place, writers.count);
  node.barrier("before copying").wait();
  const Buffer target = to.part(part.first, part.count);
  if (part.count > 0) std::memcpy(target.data, from.part(part.first, part.count).data, target.bytes());
  node.barrier("copied").wait();
}

}  // namespace chorale
