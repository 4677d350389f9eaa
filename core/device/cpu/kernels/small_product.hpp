// Products of small matrices that lie in the cache, in blocks that lie in registers: what a tile of attention is made of. A library's call
// costs more than such a product.
#pragma once
#include <chorale/core/device/cpu/kernels/vector.hpp>

namespace chorale::CHORALE_ISA {

/// c [m, n] = or += a [m, k] b [k, n]. Element (i, j) of a lies at i * a_row + j * a_col, so a may be transposed; rows of b and c are
/// contiguous, with their own distances.
template <class T>
struct SmallProduct {
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row;
  T* c;
  int64_t c_row;
  int64_t m, n, k;
  bool accumulate = false;
};

namespace {

/// `rows` rows of c from row i, `vectors` vectors of columns from column j.
template <int rows, int vectors, class T>
inline __attribute__((always_inline)) void product_block(const SmallProduct<T>& p, int64_t i, int64_t j) {
  using Vector = typename VectorOf<T>::Type;
  constexpr int kLanes = VectorOf<T>::kLanes;
  Vector sum[rows][vectors];
  const T* a = p.a + i * p.a_row;
  const T* b = p.b + j;
  T* c = p.c + i * p.c_row + j;
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) sum[r][v] = p.accumulate ? *reinterpret_cast<const Vector*>(c + r * p.c_row + v * kLanes) : Vector{};
  for (int64_t k = 0; k < p.k; ++k) {
    Vector row[vectors];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) row[v] = *reinterpret_cast<const Vector*>(b + k * p.b_row + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const T factor = a[r * p.a_row + k * p.a_col];
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) sum[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) *reinterpret_cast<Vector*>(c + r * p.c_row + v * kLanes) = sum[r][v];
}

template <int vectors, class T>
void product_columns(const SmallProduct<T>& p, int64_t j) {
  constexpr int kRows = kVectorBytes == 64 ? 8 : 4;
  int64_t i = 0;
  for (; i + kRows <= p.m; i += kRows) product_block<kRows, vectors>(p, i, j);
  for (; i < p.m; ++i) product_block<1, vectors>(p, i, j);
}

template <class T>
void small_product(const SmallProduct<T>& p) {
  constexpr int kLanes = VectorOf<T>::kLanes;
  int64_t j = 0;
  for (; j + 2 * kLanes <= p.n; j += 2 * kLanes) product_columns<2>(p, j);
  for (; j + kLanes <= p.n; j += kLanes) product_columns<1>(p, j);
  for (int64_t i = 0; j < p.n && i < p.m; ++i)
    for (int64_t rest = j; rest < p.n; ++rest) {
      T sum = p.accumulate ? p.c[i * p.c_row + rest] : T(0);
      for (int64_t k = 0; k < p.k; ++k) sum += p.a[i * p.a_row + k * p.a_col] * p.b[k * p.b_row + rest];
      p.c[i * p.c_row + rest] = sum;
    }
}

}  // namespace

}  // namespace chorale::CHORALE_ISA
