// The memory behind an arena: parameters and optimiser state, private to each rank or shared by the ranks of a node, which all map it.
// Shared parameters lie once for each copy of the plan, state once.
#pragma once
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/copy_plan.hpp>

namespace chorale {

/// Whose work it is to write a buffer of a node: this rank's place among those that write it together. 0 of 1: each rank its own.
struct Writers {
  int place = 0, count = 1;
};

/// One thread a rank; every call is collective over the node.
class ArenaMemory {
 public:
  /// Zeroed. State that nobody touches costs nothing. Pages of parameters are touched first by the ranks that read them, in turn, so that
  /// they lie in those ranks' domains.
  ArenaMemory(Communicator& comm, const FlatParams& params, const Optimizer& optimizer, bool is_private, const CopyPlan& plan);
  bool is_private() const { return private_; }
  Buffer values() const { return values_; }
  /// By local rank: the parameters that it reads, as mapped here; empty where they are private.
  const std::vector<Buffer>& copies() const { return copies_; }
  const std::vector<Buffer>& state() const { return state_; }
  Writers writers_of_values() const { return values_writers_; }
  Writers writers_of_state() const { return state_writers_; }
  /// Local rank 0 has filled its copy of the parameters: afterwards all copies hold that.
  void spread_filled();
  /// Takes over what another holds.
  void take(const ArenaMemory& other);

 private:
  Buffer allocate(std::int64_t elements);
  void allocate_copies(std::int64_t elements, const CopyPlan& plan);
  void touch_values();
  Communicator& comm_;
  Device& device_;
  DType dtype_;
  bool private_;
  Writers values_writers_, state_writers_;
  std::vector<SharedMemory> shared_;
  std::vector<Tensor> own_;  // the system gives large pages for private memory only
  Buffer values_;
  std::vector<Buffer> copies_;
  std::vector<Buffer> state_;
};

/// Copies `from` to `to`, each of the writers a part; no rank of the node goes on before all is there.
void copy_together(Communicator& node, Buffer to, Buffer from, Writers writers);

}  // namespace chorale
