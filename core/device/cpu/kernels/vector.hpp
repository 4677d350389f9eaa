// The widest vector of an instruction set as a type: for loops that the compiler does not turn into vectors by itself.
#pragma once
#include <chorale/core/device/cpu/kernels/isa.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int kVectorBytes = __BIGGEST_ALIGNMENT__;

template <class T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
  static constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));
};

/// The greatest of x [n] and `top`. By hand: that NaN must pass through keeps the compiler from it.
template <class T>
T greatest_of(const T* x, int64_t n, T top) {
  using Vector = typename VectorOf<T>::Type;
  constexpr int kLanes = VectorOf<T>::kLanes;
  int64_t i = 0;
  if (n >= kLanes) {
    Vector best = *reinterpret_cast<const Vector*>(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Vector next = *reinterpret_cast<const Vector*>(x + i);
      best = next > best ? next : best;
    }
    T lanes[kLanes];
    *reinterpret_cast<Vector*>(lanes) = best;
#pragma GCC unroll 8
    for (int half = kLanes / 2; half > 0; half /= 2)
#pragma GCC unroll 16
      for (int lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane + half] > lanes[lane] ? lanes[lane + half] : lanes[lane];
    top = lanes[0] > top ? lanes[0] : top;
  }
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

}  // namespace

}  // namespace chorale::CHORALE_ISA
