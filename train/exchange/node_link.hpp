// The way between nodes: each node adds what its ranks contributed to a share and sends one sum for each of its subtrees to the share's
// owner; the owner adds them in tree order; the result goes back once to every other node, into memory that the node's ranks share.
// On a narrow wire sums are rounded to bf16 on the way to the owner and on the way back; they are always added in the arena's own type.
// Sums leave during backward, as buckets become ready, in index order.
#pragma once
#include <vector>

#include <chorale/train/exchange/gradient_memory.hpp>
#include <chorale/train/exchange/ownership.hpp>

namespace chorale {

/// One thread. Owners of a bucket are all ranks; on a node that an owner does not belong to, the rank of its place in the node (modulo the
/// node's ranks) carries for it.
class NodeLink {
 public:
  NodeLink(const ExchangeSetup& setup, GradientMemory& gradients);
  void begin();
  /// During backward, in index order.
  void bucket_ready(const Bucket& bucket);
  /// Pushes on what can go on without waiting.
  void advance();
  /// All buckets are ready: afterwards this rank's parts of sums() are the sums over all ranks. Collective.
  void reduce();
  /// Afterwards all of sums() is there, on every node. Collective.
  void spread_sums();
  /// This rank's parts of `values` (shared by the node's ranks, in the arena's layout) to all other nodes, theirs into it. Collective.
  void spread(Buffer values, Label label);
  /// The same for what was rounded into narrow(): every node takes it from there, the owner's too. added: to `values`, else in their place.
  void spread_narrow(Buffer values, bool added, Label label);
  /// Where this rank puts its parts for spread_narrow(), in the arena's layout.
  std::uint16_t* narrow_values() { return narrow_.data<std::uint16_t>(); }
  bool is_narrow() const { return wire_ == DType::bf16; }
  /// The arena's trainable length, one copy a node.
  Buffer sums() const { return sums_; }
  /// By local rank: what spread() has it write, its own parts and those it carries.
  std::vector<std::vector<Share>> written_by_local() const;
  /// What this rank owns.
  const std::vector<Share>& own_parts() const { return own_parts_; }
  std::uint64_t bytes_per_step() const { return bytes_; }

 private:
  struct Rank {
    int node, local;
  };
  struct Travelling {              // one bucket
    Work arrived;                  // the node's ranks have
    std::vector<Tensor> outgoing;  // by owner, where this rank carries for it
    std::vector<Tensor> incoming;  // by other node
    std::vector<Work> sends, receives;
  };
  int carrier(int node, int owner) const;  // world rank
  bool carries(int owner) const;           // this rank does, for an owner of another node
  void open(const Bucket& bucket, Travelling& way);
  void send_partials(std::size_t bucket);
  template <class T>
  void add_up(std::size_t bucket);
  template <class T>
  const T* contribution(std::size_t bucket, int node, std::size_t subtree, Share part, std::int64_t at, std::int64_t n, T* slot);
  template <class T>
  void partial(std::size_t subtree, Share part, std::byte* to);
  void travel(Buffer values, Label label);

  ExchangeSetup setup_;
  GradientMemory& gradients_;
  std::vector<Rank> ranks_;
  std::vector<std::vector<int>> of_node_;  // world ranks by node
  int rank_, node_;
  TreeSum tree_;
  SharedMemory memory_;
  Buffer sums_;
  DType wire_;
  Tensor scratch_;
  Tensor narrow_;                   // only pages of own and carried parts are ever touched
  std::vector<const void*> bases_;  // of one block: sums of all nodes, in tree order
  std::vector<Travelling> ways_;
  std::size_t ready_ = 0, sent_ = 0;
  std::vector<Share> own_parts_;
  std::vector<Work> spreading_;
  std::uint64_t bytes_ = 0;
};

}  // namespace chorale
