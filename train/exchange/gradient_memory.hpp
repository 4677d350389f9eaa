// The gradients of a node's ranks in node memory, where peers read them in place, and their sums in tree order, a block at a time.
#pragma once
#include <span>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/tensor/tensor.hpp>
#include <chorale/train/worker_tree.hpp>

namespace chorale {

/// One thread. A rank contributes one sum for each maximal complete subtree of virtual workers that it holds, a node likewise.
class GradientMemory {
 public:
  struct Setup {
    Communicator& comm;
    Device& device;
    DType dtype;
    std::int64_t elements;  // of the arena's trainable segment
    std::int64_t virtual_workers;
    bool doubled;  // a rank may write the next step's while peers still read this step's
  };
  explicit GradientMemory(const Setup& setup);
  /// Starts a step: where this rank's sums, one a subtree, are to be written.
  std::span<const Buffer> begin();
  /// Subtrees that node `node` has the sums of.
  const std::vector<Subtree>& of_node(int node) const { return by_node_[static_cast<std::size_t>(node)]; }
  /// Sum number i of this node, of elements [first, first + n), n up to a block. All ranks of the node have written theirs. The result
  /// lies in scratch or in a contribution, valid until the next call.
  template <class T>
  const T* sum(std::size_t i, std::int64_t first, std::int64_t n);

 private:
  Setup setup_;
  std::int64_t stride_;  // elements of one contribution
  std::int64_t mine_ = 0;
  int parity_ = 1;
  SharedMemory memory_;
  std::vector<std::int64_t> counts_;  // contributions by local rank
  std::vector<std::vector<Subtree>> by_node_;
  std::vector<TreeSum> trees_;  // by this node's subtrees
  std::vector<Buffer> targets_;
  std::vector<const void*> bases_;  // this step's contributions of the node, in order of ranks
  Tensor scratch_;
};

}  // namespace chorale
