// Self-attention in tiles, with -ffast-math (see transcendental.cpp): a tile's softmax is corrected as later tiles bring greater numbers,
// and made again in the gradient. Source: Dao, Fu, Ermon, Rudra & Re, "FlashAttention", NeurIPS 2022.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/cpu/kernels/small_product.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int64_t kQueries = kAttentionTile / 2, kKeys = 2 * kAttentionTile;  // of a tile of scores, which fills a third of the L1 cache

/// Memory of one head after the other, each piece on a cache line of its own.
template <class T>
struct Scratch {
  T* next;
  T* take(int64_t elements) {
    T* const out = next;
    next += (elements + 15) / 16 * 16;
    return out;
  }
};

struct Span {
  int64_t first, count;
};
inline Span span_at(int64_t first, int64_t most, int64_t end) { return {first, end - first < most ? end - first : most}; }
/// Keys of a tile, fewer where the sequence is shorter.
inline int64_t keys_of(int64_t time) { return time <= kAttentionTile ? kAttentionTile : kKeys; }

/// Elements of pack_transposed().
inline int64_t padded(const AttentionExtents& e) { return (e.time + keys_of(e.time) - 1) / keys_of(e.time) * keys_of(e.time) * e.head; }

/// to [time, head] = factor times rows that lie `row` apart.
template <class T>
void pack(const T* from, int64_t row, int64_t time, int64_t head, T factor, T* to) {
  for (int64_t t = 0; t < time; ++t)
#pragma GCC ivdep
    for (int64_t c = 0; c < head; ++c) to[t * head + c] = factor * from[t * row + c];
}

/// to [tiles, head, keys]: each tile of times transposed by itself.
template <class T>
void pack_transposed(const T* from, int64_t row, int64_t time, int64_t head, T* to) {
  const int64_t keys = keys_of(time);
  for (int64_t first = 0; first < time; first += keys) {
    const int64_t count = span_at(first, keys, time).count;
    for (int64_t c = 0; c < head; ++c)
#pragma GCC ivdep
      for (int64_t t = 0; t < count; ++t) to[first * head + c * keys + t] = from[(first + t) * row + c];
  }
}

/// Columns that query `t` sees of a tile of keys.
inline int64_t seen(const AttentionExtents& e, int64_t t, Span keys) {
  if (!e.is_causal) return keys.count;
  const int64_t n = t + 1 - keys.first;
  return n < 0 ? 0 : n < keys.count ? n : keys.count;
}

/// s [queries, keys] = q k^T of one tile; k as pack_transposed() leaves it.
template <class T>
void scores(const AttentionExtents& e, const T* q, const T* k_transposed, Span queries, Span keys, T* s) {
  small_product<T>({.a = q + queries.first * e.head,
                    .a_row = e.head,
                    .a_col = 1,
                    .b = k_transposed + keys.first * e.head,
                    .b_row = keys_of(e.time),
                    .c = s,
                    .c_row = kKeys,
                    .m = queries.count,
                    .n = keys.count,
                    .k = e.head});
}

/// One head of one sample: its first elements, rows of qkv and of y.
template <class T>
struct Head {
  const T *q, *k, *v;
  int64_t row, y_row;
};
template <class T>
Head<T> head_at(const AttentionExtents& e, const T* qkv, int64_t b, int64_t h) {
  const int64_t width = e.heads * e.head;
  const T* q = qkv + b * e.time * 3 * width + h * e.head;
  return {q, q + width, q + 2 * width, 3 * width, width};
}

/// Turns a row's scores into exp(score - greatest) and corrects what earlier tiles have summed.
template <class T>
void fold_row(T* s, int64_t n, int64_t columns, T& greatest, T& sum, T* y, int64_t head) {
  const T top = greatest_of(s, n, greatest);
  T part = 0;
#pragma GCC ivdep
  for (int64_t c = 0; c < n; ++c) {
    s[c] = functors::f_exp(s[c] - top);
    part += s[c];
  }
  for (int64_t c = n; c < columns; ++c) s[c] = 0;
  if (sum != T(0) && top != greatest) {
    const T factor = functors::f_exp(greatest - top);
    sum *= factor;
    for (int64_t c = 0; c < head; ++c) y[c] *= factor;
  }
  greatest = top;
  sum += part;
}

template <class T>
void attend_head(const Attention<T>& p, int64_t b, int64_t h) {
  const AttentionExtents& e = p.e;
  const Head<T> head = head_at(e, p.qkv, b, h);
  Scratch<T> scratch{p.scratch};
  T *q = scratch.take(e.time * e.head), *k = scratch.take(padded(e)), *v = scratch.take(e.time * e.head);
  T *s = scratch.take(kQueries * kKeys), *y = scratch.take(kQueries * e.head);
  pack(head.q, head.row, e.time, e.head, static_cast<T>(e.scale), q);
  pack_transposed(head.k, head.row, e.time, e.head, k);
  pack(head.v, head.row, e.time, e.head, T(1), v);
  T* log_sums = p.log_sums + (b * e.heads + h) * e.time;
  T greatest[kQueries], sum[kQueries];
  for (int64_t first = 0; first < e.time; first += kQueries) {
    const Span queries = span_at(first, kQueries, e.time);
    const int64_t end = e.is_causal ? queries.first + queries.count : e.time;
    for (int64_t r = 0; r < queries.count; ++r) greatest[r] = static_cast<T>(-1e30), sum[r] = 0;
    for (int64_t at = 0; at < end; at += keys_of(e.time)) {
      const Span keys = span_at(at, keys_of(e.time), end);
      scores(e, q, k, queries, keys, s);
      for (int64_t r = 0; r < queries.count; ++r)
        fold_row(s + r * kKeys, seen(e, queries.first + r, keys), keys.count, greatest[r], sum[r], y + r * e.head, e.head);
      small_product<T>({.a = s,
                        .a_row = kKeys,
                        .a_col = 1,
                        .b = v + keys.first * e.head,
                        .b_row = e.head,
                        .c = y,
                        .c_row = e.head,
                        .m = queries.count,
                        .n = e.head,
                        .k = keys.count,
                        .accumulate = at > 0});
    }
    for (int64_t r = 0; r < queries.count; ++r) {
      T* to = p.y + (b * e.time + queries.first + r) * head.y_row + h * e.head;
      const T inverse = T(1) / sum[r];
      for (int64_t c = 0; c < e.head; ++c) to[c] = y[r * e.head + c] * inverse;
      log_sums[queries.first + r] = greatest[r] + functors::f_log(sum[r]);
    }
  }
}

/// p = softmax of s, and ds = p (dp - along), by row, in place of s and dp.
template <class T>
void softmax_tile(const AttentionExtents& e, Span queries, Span keys, const T* log_sums, const T* along, T* s, T* dp) {
  for (int64_t r = 0; r < queries.count; ++r) {
    const int64_t n = seen(e, queries.first + r, keys);
    T *srow = s + r * kKeys, *drow = dp + r * kKeys;
    const T log_sum = log_sums[queries.first + r], shift = along[queries.first + r];
#pragma GCC ivdep
    for (int64_t c = 0; c < n; ++c) {
      srow[c] = functors::f_exp(srow[c] - log_sum);
      drow[c] = srow[c] * (drow[c] - shift);
    }
    for (int64_t c = n; c < keys.count; ++c) srow[c] = 0, drow[c] = 0;
  }
}

/// What the gradient of one head works on, packed.
template <class T>
struct HeadGradient {
  T *q, *k_transposed, *k, *v_transposed, *dy, *dq, *dk, *dv, *s, *ds, *along;
};

template <class T>
HeadGradient<T> pack_gradient(const AttentionGradient<T>& p, const Head<T>& head, int64_t b, int64_t h) {
  const AttentionExtents& e = p.e;
  Scratch<T> scratch{p.scratch};
  const int64_t n = e.time * e.head, tile = keys_of(e.time) * e.head;
  HeadGradient<T> g{};
  g.q = scratch.take(n), g.k = scratch.take(n), g.dy = scratch.take(n), g.dq = scratch.take(n);
  g.k_transposed = scratch.take(padded(e)), g.v_transposed = scratch.take(padded(e));
  g.dk = scratch.take(tile), g.dv = scratch.take(tile);
  g.s = scratch.take(kQueries * kKeys), g.ds = scratch.take(kQueries * kKeys);
  g.along = scratch.take(e.time);
  const int64_t at = b * e.time * head.y_row + h * e.head;
  pack(head.q, head.row, e.time, e.head, static_cast<T>(e.scale), g.q);
  pack_transposed(head.k, head.row, e.time, e.head, g.k_transposed);
  pack(head.k, head.row, e.time, e.head, T(1), g.k);
  pack_transposed(head.v, head.row, e.time, e.head, g.v_transposed);
  pack(p.dy + at, head.y_row, e.time, e.head, T(1), g.dy);
  for (int64_t t = 0; t < e.time; ++t) {
    const T *y = p.y + at + t * head.y_row, *dy = g.dy + t * e.head;
    T along = 0;
    for (int64_t c = 0; c < e.head; ++c) along += y[c] * dy[c];
    g.along[t] = along;
  }
  return g;
}

/// Adds what one tile gives to dq, dk and dv.
template <class T>
void tile_gradient(const AttentionExtents& e, const HeadGradient<T>& g, const T* log_sums, Span queries, Span keys) {
  scores(e, g.q, g.k_transposed, queries, keys, g.s);
  scores(e, g.dy, g.v_transposed, queries, keys, g.ds);
  softmax_tile(e, queries, keys, log_sums, g.along, g.s, g.ds);
  const auto add_keys = [&](const T* tile, const T* rows, T* to) {
    small_product<T>({.a = tile,
                      .a_row = 1,
                      .a_col = kKeys,
                      .b = rows + queries.first * e.head,
                      .b_row = e.head,
                      .c = to,
                      .c_row = e.head,
                      .m = keys.count,
                      .n = e.head,
                      .k = queries.count,
                      .accumulate = true});
  };
  add_keys(g.s, g.dy, g.dv);
  add_keys(g.ds, g.q, g.dk);
  small_product<T>({.a = g.ds,
                    .a_row = kKeys,
                    .a_col = 1,
                    .b = g.k + keys.first * e.head,
                    .b_row = e.head,
                    .c = g.dq + queries.first * e.head,
                    .c_row = e.head,
                    .m = queries.count,
                    .n = e.head,
                    .k = keys.count,
                    .accumulate = keys.first > 0});
}

template <class T>
void unpack(const T* from, Span rows, int64_t head, T factor, T* to, int64_t row) {
  for (int64_t t = 0; t < rows.count; ++t)
    for (int64_t c = 0; c < head; ++c) to[(rows.first + t) * row + c] = factor * from[t * head + c];
}

template <class T>
void head_gradient(const AttentionGradient<T>& p, int64_t b, int64_t h) {
  const AttentionExtents& e = p.e;
  const Head<T> head = head_at(e, p.qkv, b, h);
  const HeadGradient<T> g = pack_gradient(p, head, b, h);
  const T* log_sums = p.log_sums + (b * e.heads + h) * e.time;
  const int64_t width = head.y_row;
  T* const dq = p.dqkv + b * e.time * 3 * width + h * e.head;
  for (int64_t at = 0; at < e.time; at += keys_of(e.time)) {
    const Span keys = span_at(at, keys_of(e.time), e.time);
    for (int64_t i = 0; i < keys.count * e.head; ++i) g.dk[i] = 0, g.dv[i] = 0;
    const int64_t start = e.is_causal ? at : 0;
    for (int64_t first = start; first < e.time; first += kQueries) {
      const Span queries = span_at(first, kQueries, e.time);
      tile_gradient(e, g, log_sums, queries, e.is_causal ? span_at(at, keys.count, queries.first + queries.count) : keys);
    }
    unpack(g.dk, keys, e.head, T(1), dq + width, head.row);
    unpack(g.dv, keys, e.head, T(1), dq + 2 * width, head.row);
  }
  unpack(g.dq, {0, e.time}, e.head, static_cast<T>(e.scale), dq, head.row);
}

template <class T>
void attention(const Attention<T>& p) {
  for (int64_t b = 0; b < p.e.batch; ++b)
    for (int64_t h = 0; h < p.e.heads; ++h) attend_head(p, b, h);
}

template <class T>
void attention_gradient(const AttentionGradient<T>& p) {
  for (int64_t b = 0; b < p.e.batch; ++b)
    for (int64_t h = 0; h < p.e.heads; ++h) head_gradient(p, b, h);
}

}  // namespace

template <class T>
void fill_attention(TypedKernels<T>& k) {
  k.attention = attention<T>;
  k.attention_gradient = attention_gradient<T>;
}
template void fill_attention(TypedKernels<float>&);
template void fill_attention(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
