// Row-wise softmax and cross-entropy, with -ffast-math (see transcendental.cpp).
// Source: shifted log-sum-exp, Blanchard, Higham & Higham, IMA J. Numer. Anal. 2021.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

using namespace functors;

template <class T>
T row_max(const T* x, int64_t n) {
  T best = x[0];
  for (int64_t c = 1; c < n; ++c) best = x[c] > best ? x[c] : best;
  return best;
}

template <class T>
void softmax(const Softmax<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.cols;
    T* y = p.y + r * p.cols;
    const T top = row_max(x, p.cols);
    T sum = 0;
#pragma GCC ivdep
    for (int64_t c = 0; c < p.cols; ++c) {
      y[c] = f_exp(x[c] - top);
      sum += y[c];
    }
    const T inverse = T(1) / sum;
    for (int64_t c = 0; c < p.cols; ++c) y[c] *= inverse;
  }
}

template <class T>
void softmax_gradient(const SoftmaxGradient<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T *y = p.y + r * p.cols, *dy = p.dy + r * p.cols;
    T* dx = p.dx + r * p.cols;
    T dot = 0;
    for (int64_t c = 0; c < p.cols; ++c) dot += y[c] * dy[c];
#pragma GCC ivdep
    for (int64_t c = 0; c < p.cols; ++c) dx[c] = y[c] * (dy[c] - dot);
  }
}

/// Targets are valid class ids: the caller has checked.
template <class T>
void cross_entropy(const RowLoss<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* z = p.z + r * p.cols;
    const int64_t t = static_cast<int64_t>(p.target[r]);
    T w = p.weight ? p.weight[r] : T(1);
    if (p.class_weight) w *= p.class_weight[t];
    const T top = row_max(z, p.cols);
    T sum = 0;
    if (p.dz) {
      T* dz = p.dz + r * p.cols;
#pragma GCC ivdep
      for (int64_t c = 0; c < p.cols; ++c) {
        dz[c] = f_exp(z[c] - top);
        sum += dz[c];
      }
      const T factor = w / sum;
      for (int64_t c = 0; c < p.cols; ++c) dz[c] *= factor;
      dz[t] -= w;
    } else {
      for (int64_t c = 0; c < p.cols; ++c) sum += f_exp(z[c] - top);
    }
    p.row_loss[r] = w * (f_log(sum) + top - z[t]);
    p.weight_used[r] = w;
  }
}

}  // namespace

template <class T>
void fill_rows(TypedKernels<T>& k) {
  k.softmax = softmax<T>;
  k.softmax_gradient = softmax_gradient<T>;
  k.cross_entropy = cross_entropy<T>;
}
template void fill_rows(TypedKernels<float>&);
template void fill_rows(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
