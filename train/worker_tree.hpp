// The fixed balanced binary tree over virtual workers: which partial sums a rank holds and in which order contributions are added, whatever
// the ranks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/data/sampler.hpp>

namespace chorale {

/// Leaves [first, first + count) below one node of the tree. A node of n leaves splits at the largest power of two below n.
struct Subtree {
  std::int64_t first = 0, count = 0;
  bool is_leaf() const { return count == 1; }
  Subtree left() const;
  Subtree right() const;
  bool operator==(const Subtree&) const = default;
};

/// Workers of rank r of R in a world of V.
constexpr Share workers_of(std::int64_t r, std::int64_t R, std::int64_t V) { return share_of(V, r, R); }

/// The maximal complete subtrees inside the leaves [held.first, held.first + held.count), in order: what a rank contributes one partial sum
/// for.
std::vector<Subtree> maximal_subtrees(std::int64_t workers, Share held);

/// Adds the contributions of all ranks in tree order, a block at a time.
class TreeSum {
 public:
  /// contributions[i]: the subtree that contribution i is the sum of; together they are the whole of `root`.
  TreeSum(Subtree root, const std::vector<Subtree>& contributions);
  TreeSum(std::int64_t workers, const std::vector<Subtree>& contributions) : TreeSum(Subtree{0, workers}, contributions) {}
  /// Blocks of scratch that sum() needs.
  std::int64_t scratch_slots() const { return depth_; }
  /// Sum of n elements; bases[i] is the first of contribution i. scratch: scratch_slots() times `stride` elements. The result lies in
  /// scratch, or in a contribution where there is only one. add(a, b, c, n): c = a + b.
  template <class T, class Add>
  const T* sum(std::span<const void* const> bases, std::int64_t offset, std::int64_t n, T* scratch, std::int64_t stride, Add add) const {
    const T* stack[64] = {};
    int top = 0;
    for (const std::int32_t word : program_) {
      if (word >= 0) {
        stack[top++] = static_cast<const T*>(bases[static_cast<std::size_t>(word)]) + offset;
        continue;
      }
      --top;
      T* out = scratch + (top - 1) * stride;
      add(stack[top - 1], stack[top], out, n);
      stack[top - 1] = out;
    }
    return stack[0];
  }

 private:
  void compile(Subtree node, const std::vector<Subtree>& contributions, std::int64_t level);
  std::vector<std::int32_t> program_;  // contribution to push, or -1: add the two on top
  std::int64_t depth_ = 1;
};

}  // namespace chorale
