// Differentiable operations on sequences of tokens: x [B, T, C].
#pragma once
#include <cstdint>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// y [..., C] = rows of table [V, C] by ids [...], i32. The gradient of a row is the sum over the places that name it, in their order.
/// Throws ShapeError for another type, DataError for an id outside [0, V), which names the sample.
Variable lookup(const Tensor& ids, const Variable& table);

/// y [B, T, C] = x + the first T rows of positions [T', C], T' >= T. Throws ShapeError.
Variable add_positions(const Variable& x, const Variable& positions);

struct AttentionOptions {
  std::int64_t heads = 1;
  bool is_causal = false;  // a place sees itself and those before
};
/// y [B, T, C] from qkv [B, T, 3 C], queries, keys and values side by side, each of `heads` heads: softmax(q k^T / sqrt(C / heads)) v by
/// head. Memory beside the result is B heads T: the weights are made tile by tile, in the gradient again. Throws ShapeError.
/// Sources: Vaswani et al. 2017; Dao et al., "FlashAttention", 2022.
Variable attention(const Variable& qkv, const AttentionOptions& options);

}  // namespace chorale
