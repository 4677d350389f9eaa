// Sums with a fixed order and the test for NaN: no fast-math, no contraction, sixteen explicit lanes combined pairwise.
#include <chorale/core/device/cpu/kernels/isa.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int kLanes = 16;

template <class T>
void add(const T* a, const T* b, T* c, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) c[i] = a[i] + b[i];
}

inline double combine(double* lane) {
  for (int half = kLanes / 2; half; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

template <class T>
double sum(const T* x, int64_t n) {
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int l = 0; l < kLanes; ++l) lane[l] += static_cast<double>(x[i + l]);
  for (int l = 0; i < n; ++i, ++l) lane[l] += static_cast<double>(x[i]);
  return combine(lane);
}

template <class T>
double sum_of_squares(const T* x, int64_t n, T scale) {
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int l = 0; l < kLanes; ++l) {
      const double v = static_cast<double>(x[i + l] * scale);
      lane[l] += v * v;
    }
  for (int l = 0; i < n; ++i, ++l) {
    const double v = static_cast<double>(x[i] * scale);
    lane[l] += v * v;
  }
  return combine(lane);
}

template <class T>
int64_t first_not_finite(const T* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += 4096) {
    const int64_t end = begin + 4096 < n ? begin + 4096 : n;
    T zero = 0;  // x - x is 0 for finite x, else NaN, and NaN stays
    for (int64_t i = begin; i < end; ++i) zero += x[i] - x[i];
    if (zero == T(0)) continue;
    for (int64_t i = begin; i < end; ++i)
      if (!(x[i] - x[i] == T(0))) return i;
  }
  return -1;
}

}  // namespace

template <class T>
void fill_reduction(TypedKernels<T>& k) {
  k.add = add<T>;
  k.sum = sum<T>;
  k.sum_of_squares = sum_of_squares<T>;
  k.first_not_finite = first_not_finite<T>;
}
template void fill_reduction(TypedKernels<float>&);
template void fill_reduction(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
