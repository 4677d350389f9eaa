// The memory behind an arena: parameters and optimiser state, private to each rank or one copy a node that all its ranks map.
#pragma once
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/optim/optimizer.hpp>

namespace chorale {

/// One thread a rank; every call is collective over the node.
class ArenaMemory {
 public:
  /// Zeroed. Memory that nobody touches costs nothing.
  ArenaMemory(Communicator& comm, const FlatParams& params, const Optimizer& optimizer, bool is_private);
  bool is_private() const { return private_; }
  Buffer values() const { return values_; }
  const std::vector<Buffer>& state() const { return state_; }
  /// Takes over what another holds.
  void take(const ArenaMemory& other);

 private:
  Buffer allocate(std::int64_t elements);
  Communicator& comm_;
  Device& device_;
  DType dtype_;
  bool private_;
  std::vector<SharedMemory> shared_;
  std::vector<Tensor> own_;  // the system gives large pages for private memory only
  Buffer values_;
  std::vector<Buffer> state_;
};

/// Copies `from` to `to`; where the node has `to` once, each rank copies a part, and nobody goes on before all is there.
void copy_together(Communicator& node, Buffer to, Buffer from, bool to_is_private);

}  // namespace chorale
