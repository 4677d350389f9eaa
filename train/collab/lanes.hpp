// What tasks agree on at every step travels in lanes: lane j is made of rank j of every task and carries slice j of a vector that all
// ranks of a task have alike. There are as many lanes as the smallest task has ranks. What comes out depends neither on that number nor
// on where ranks are: elements are combined over tasks, in the order of tasks.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/sampler.hpp>

namespace chorale {

/// One thread a rank. Every call but slice() and the formulas is collective over all tasks.
class Lanes {
 public:
  /// world: all ranks of all tasks; task: the ranks of this one. ranks: of every task. name: of labels inside the task, as in "buys/trunk/...".
  /// Both are split, so that what goes here meets nobody else's.
  Lanes(Communicator& world, Communicator& task, int number, std::span<const std::int64_t> ranks, std::string_view name);

  int tasks() const { return tasks_; }
  int count() const { return count_; }
  /// Whether this rank is in a lane; the others get what comes out.
  bool carries() const { return task_->rank() < count_; }
  /// Among ranks of equal number in their tasks: rank t is task t's. Only where carries().
  Communicator& lane() { return *lane_; }
  Communicator& task() { return *task_; }
  /// By this rank, here.
  std::uint64_t bytes_sent() const { return lane_->bytes_sent() + task_->bytes_sent(); }
  void set_timeout_ms(std::int64_t timeout_ms) { lane_->set_timeout_ms(timeout_ms), task_->set_timeout_ms(timeout_ms); }
  /// Of `elements`, this rank's part, on borders of blocks (kBlockElements); empty where it carries none.
  Share slice(std::int64_t elements) const { return slice_of(task_->rank(), elements); }

  /// In place: the sum over tasks, in one tree over tasks. Blocks. The first call for more elements than before allocates.
  template <class T>
  void sum(std::span<T> values);
  /// This rank's slice of every task's values, task after task. Blocks.
  template <class T>
  std::vector<T> gather_slices(std::span<const T> values);
  /// In place: each lane's slice to all ranks of the task. Blocks.
  template <class T>
  void spread(std::span<T> values);

  /// The same of `per_block` numbers about each block of a vector of `elements`.
  void spread_of_blocks(std::span<double> numbers, std::int64_t per_block, std::int64_t elements);

  /// Formulas: bytes that all ranks of all tasks together send in one node. In a lane each rank adds a T-th of the slice and writes it to
  /// its T - 1 peers (below 1 KiB everybody sends all of it); then the slices go round in each task of more than one rank.
  std::int64_t bytes_of_sum(std::int64_t elements, std::int64_t element_bytes) const;
  std::int64_t bytes_of_gather(std::int64_t elements, std::int64_t element_bytes) const { return tasks_ * elements * element_bytes; }
  std::int64_t bytes_of_spread(std::int64_t elements, std::int64_t element_bytes) const;

 private:
  Share slice_of(int rank, std::int64_t elements) const;
  template <class T>
  void spread(std::span<T> values, const std::vector<std::int64_t>& counts);
  template <class T>
  std::span<T> memory_of(std::int64_t elements);
  int tasks_, count_, larger_tasks_ = 0;  // of more than one rank
  std::unique_ptr<Communicator> task_, lane_;
  SharedMemory memory_;  // that peers of the lane see
};

}  // namespace chorale
