// Row-wise softmax, mixing and cross-entropy, with -ffast-math (see transcendental.cpp).
// Source: shifted log-sum-exp, Blanchard, Higham & Higham, IMA J. Numer. Anal. 2021.
#include <chorale/core/device/cpu/kernels/vector.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

using namespace functors;

template <class T>
void softmax(const Softmax<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.cols;
    T* y = p.y + r * p.cols;
    const T top = greatest_of(x, p.cols, x[0]);
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

template <class T>
void scaled_rows(const ScaledRows<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.cols;
    T* y = p.y + r * p.cols;
    const T w = p.w[r * p.stride];
    if (p.accumulate) {
#pragma GCC ivdep
      for (int64_t c = 0; c < p.cols; ++c) y[c] += w * x[c];
    } else {
#pragma GCC ivdep
      for (int64_t c = 0; c < p.cols; ++c) y[c] = w * x[c];
    }
  }
}

template <class T>
void row_dots(const RowDots<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T *a = p.a + r * p.cols, *b = p.b + r * p.cols;
    T dot = 0;
    for (int64_t c = 0; c < p.cols; ++c) dot += a[c] * b[c];
    p.out[r * p.stride] = dot;
  }
}

/// Sum of exp(z - top) without one of the greatest terms, which are 1: a sure answer's loss and slope are made of what is left.
/// e [n], or null: where the terms go.
template <bool kKeep, class T>
T sum_of_rest(const T* z, T top, T* e, int64_t n) {
  T rest = 0, greatest = 0;
#pragma GCC ivdep
  for (int64_t c = 0; c < n; ++c) {
    const T term = f_exp(z[c] - top);
    if (kKeep) e[c] = term;
    rest += z[c] == top ? T(0) : term;  // so that NaN is added
    greatest += z[c] == top ? T(1) : T(0);
  }
  return rest + CHORALE_AS_WRITTEN(greatest - T(1));
}

/// Target q = (1 - a) [c = t] + a / C; a class's weight goes with its part of q, as in PyTorch. Szegedy et al. 2016.
template <class T>
void smoothed_cross_entropy(const RowLoss<T>& p) {
  const T even = p.a / static_cast<T>(p.cols), sure = T(1) - p.a;
  T all = static_cast<T>(p.cols);
  if (p.class_weight) all = 0;
  for (int64_t c = 0; p.class_weight && c < p.cols; ++c) all += p.class_weight[c];
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* z = p.z + r * p.cols;
    const int64_t t = static_cast<int64_t>(p.target[r]);
    const T w = p.weight ? p.weight[r] : T(1), wt = p.class_weight ? p.class_weight[t] : T(1);
    const T top = greatest_of(z, p.cols, z[0]);
    T* dz = p.dz ? p.dz + r * p.cols : nullptr;
    const T rest = dz ? sum_of_rest<true>(z, top, dz, p.cols) : sum_of_rest<false>(z, top, dz, p.cols), log_rest = f_log1p(rest);
    T others = 0;
    for (int64_t c = 0; c < p.cols; ++c)
      others += (p.class_weight ? p.class_weight[c] : T(1)) * (log_rest + CHORALE_AS_WRITTEN(top - z[c]));
    p.row_loss[r] = w * (sure * wt * (log_rest + CHORALE_AS_WRITTEN(top - z[t])) + even * others);
    p.weight_used[r] = w * wt;
    if (!dz) continue;
    const T factor = w * (sure * wt + even * all) / (T(1) + rest);
    for (int64_t c = 0; c < p.cols; ++c) dz[c] = factor * dz[c] - w * even * (p.class_weight ? p.class_weight[c] : T(1));
    dz[t] -= w * sure * wt;
  }
}

/// (1 - p_t)^gamma (-log p_t), Lin et al. 2017: cross-entropy's slope times a factor of the row.
template <class T>
void focal_cross_entropy(const RowLoss<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* z = p.z + r * p.cols;
    const int64_t t = static_cast<int64_t>(p.target[r]);
    T w = p.weight ? p.weight[r] : T(1);
    if (p.class_weight) w *= p.class_weight[t];
    const T top = greatest_of(z, p.cols, z[0]);
    T* dz = p.dz ? p.dz + r * p.cols : nullptr;
    const T rest = dz ? sum_of_rest<true>(z, top, dz, p.cols) : sum_of_rest<false>(z, top, dz, p.cols);
    const T loss = f_log1p(rest) + CHORALE_AS_WRITTEN(top - z[t]), right = f_exp(-loss), wrong = -f_expm1(-loss);  // wrong: 1 - p_t
    const T shrunk = wrong > T(0) ? f_exp(p.gamma * f_log(wrong)) : T(0);
    p.row_loss[r] = w * shrunk * loss;
    p.weight_used[r] = w;
    if (!dz) continue;
    const T slope = w * shrunk * (T(1) + p.gamma * right * (wrong > T(0) ? loss / wrong : T(1))), factor = slope / (T(1) + rest);
    for (int64_t c = 0; c < p.cols; ++c) dz[c] *= factor;
    dz[t] = z[t] == top ? -factor * rest : dz[t] - slope;
  }
}

/// Targets are valid class ids: the caller has checked.
template <class T>
void cross_entropy(const RowLoss<T>& p) {
  if (p.gamma > T(0)) return focal_cross_entropy(p);
  if (p.a > T(0)) return smoothed_cross_entropy(p);
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* z = p.z + r * p.cols;
    const int64_t t = static_cast<int64_t>(p.target[r]);
    T w = p.weight ? p.weight[r] : T(1);
    if (p.class_weight) w *= p.class_weight[t];
    const T top = greatest_of(z, p.cols, z[0]);
    T* dz = p.dz ? p.dz + r * p.cols : nullptr;
    const T rest = dz ? sum_of_rest<true>(z, top, dz, p.cols) : sum_of_rest<false>(z, top, dz, p.cols);
    p.row_loss[r] = w * (f_log1p(rest) + CHORALE_AS_WRITTEN(top - z[t]));
    p.weight_used[r] = w;
    if (!dz) continue;
    const T factor = w / (T(1) + rest);
    for (int64_t c = 0; c < p.cols; ++c) dz[c] *= factor;
    dz[t] = z[t] == top ? -factor * rest : dz[t] - w;
  }
}

}  // namespace

template <class T>
void fill_rows(TypedKernels<T>& k) {
  k.softmax = softmax<T>;
  k.softmax_gradient = softmax_gradient<T>;
  k.scaled_rows = scaled_rows<T>;
  k.row_dots = row_dots<T>;
  k.cross_entropy = cross_entropy<T>;
}
template void fill_rows(TypedKernels<float>&);
template void fill_rows(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
