// Parameter structs of what works on sequences: lookup, recurrence, attention.
// As in kernels.hpp: plain pointers and sizes, no std types.
#pragma once
#include <stdint.h>

namespace chorale {

/// y [rows, cols] = table [*, cols] by row: y_r = table_{ids[r]}. Ids are valid: the caller has checked.
template <class T>
struct Lookup {
  const int32_t* ids;
  const T* table;
  T* y;
  int64_t rows, cols;
};
/// dtable_{ids[r]} += dy_r, in the order of rows, so that the sum of a row that several ids name has one order.
template <class T>
struct LookupGradient {
  const int32_t* ids;
  const T* dy;
  T* dtable;
  int64_t rows, cols;
};

/// Recurrent networks, time-major: of `time` steps, `batch` rows, `hidden` units. Gates lie side by side, each of `hidden`: i, f, g, o of
/// an lstm, r, z, n of a gru, as PyTorch orders them.
struct RecurrentExtents {
  int64_t time, batch, hidden;
};
template <class T>
struct Recurrent {
  RecurrentExtents e;
  T* gates;              // [time, batch, gates, hidden]: what the input gives, with an lstm's biases; then with their functions
  const T* w;            // [gates, hidden, hidden], as PyTorch's weight_hh
  const T* hidden_bias;  // of a gru: [3, hidden] or null
  T* h;                  // [time, batch, hidden]
  T* kept;               // [time, batch, hidden]: an lstm's cells; what a gru's h gives to n
  T* scratch;            // recurrent_scratch() elements
};
/// dgates, and of a gru dhidden, by what h gives to the gates (of an lstm it is dgates): [time, batch, gates, hidden].
template <class T>
struct RecurrentGradient {
  RecurrentExtents e;
  const T* gates;
  const T* w;
  const T* h;
  const T* kept;
  const T* dy;  // [time, batch, hidden]
  T* dgates;
  T* dhidden;
  T* scratch;
};
/// Of the packed weights.
constexpr int64_t recurrent_panels(int64_t gates, int64_t hidden) { return gates * (hidden + 32) * (hidden + 32); }
constexpr int64_t recurrent_scratch(int64_t gates, const RecurrentExtents& e) {
  return recurrent_panels(gates, e.hidden) + 4 * e.batch * e.hidden;
}
/// y [inner, outer, cols] = x [outer, inner, cols].
template <class T>
struct SwappedRows {
  const T* x;
  T* y;
  int64_t outer, inner, cols;
};

/// Self-attention of `heads` heads side by side. qkv [batch, time, 3, heads, head] is what one projection makes of the input; of each head
/// y_t = sum over s of softmax_s(scale <q_t, k_s>) v_s, over s <= t where `is_causal`.
struct AttentionExtents {
  int64_t batch, time, heads, head;
  bool is_causal;
  double scale;
};
/// y [batch, time, heads, head]; log_sums [batch, heads, time]: log of the softmax's denominator, from which the gradient makes it again.
template <class T>
struct Attention {
  AttentionExtents e;
  const T* qkv;
  T* y;
  T* log_sums;
  T* scratch;  // attention_scratch(e) elements
};
/// dqkv, written over what is there.
template <class T>
struct AttentionGradient {
  AttentionExtents e;
  const T* qkv;
  const T* y;
  const T* log_sums;
  const T* dy;
  T* dqkv;
  T* scratch;
};
/// A tile of the softmax has half as many queries and twice as many keys: no time x time matrix is ever made.
constexpr int64_t kAttentionTile = 64;
/// Of forward and backward: at most ten matrices of one head, each on cache lines of its own, two tiles and a column.
constexpr int64_t attention_scratch(const AttentionExtents& e) {
  const int64_t padded = (e.time + kAttentionTile - 1) / kAttentionTile * kAttentionTile;
  return 10 * (padded * e.head + 16) + 2 * kAttentionTile * kAttentionTile + padded;
}

}  // namespace chorale
