// Arithmetic between ranks: the fixed tree evaluated over blocks that stay in the cache. Pure functions, any thread.
#pragma once
#include <cstddef>
#include <span>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/tree.hpp>

namespace chorale {

/// The type in which partial sums are kept and cross between nodes: f32 for bf16, else the type itself.
DType accumulator(DType type);

/// Throws ShapeError when the type cannot be reduced by `op` (f16, bits of floats).
void require_reducible(DType type, Reduce op, std::string_view label);

/// What one subtree has contributed: a rank's own values, or (partial) a sum kept in the accumulator's type.
struct TreeLeaf {
  RankRange ranks;
  const std::byte* data = nullptr;
  bool partial = false;
};

/// Evaluates the subtree `root` over leaves that cover it exactly, in rank order. Writes `elements` results of the
/// accumulator's type (to_accumulator) or of `type`. `out` may be one of the leaves' own arrays.
struct SubtreeReduction {
  DType type;
  Reduce op;
  RankRange root;
  bool to_accumulator = false;
};
void reduce_tree(const SubtreeReduction& sum, std::span<const TreeLeaf> leaves, std::byte* out, std::int64_t elements);

}  // namespace chorale
