// Maps with exp, log, tanh and erf, compiled with -ffast-math so that they become the vector forms of libmvec (FACTS: expf dominates
// otherwise). Whoever tests for NaN does it elsewhere (reduction.cpp).
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

using namespace functors;

template <class F, class T>
void map(const UnaryMap<T>& p) {
  const T* __restrict x = p.x, a = p.a, b = p.b;
  T* y = p.y;
  for (int64_t i = 0; i < p.n; ++i) y[i] = F::f(x[i], a, b);
}

template <class F, class T>
void gradient(const UnaryGradient<T>& p) {
  const T *x = p.x, *y = p.y, *dy = p.dy, a = p.a, b = p.b;
  T* dx = p.dx;
#pragma GCC ivdep
  for (int64_t i = 0; i < p.n; ++i) dx[i] = dy[i] * F::d(x[i], y[i], a, b);
}

template <class F, class T>
void losses(const RowLoss<T>& p) {
  const T share = T(1) / static_cast<T>(p.cols), a = p.a;
  for (int64_t r = 0; r < p.rows; ++r) {
    const T *z = p.z + r * p.cols, *t = p.target + r * p.cols;
    T w = p.weight ? p.weight[r] : T(1);
    if (p.class_weight) w *= p.class_weight[t[0] > T(0.5) ? 1 : 0];
    T sum = 0;
    for (int64_t c = 0; c < p.cols; ++c) sum += F::f(z[c], t[c], a);
    p.row_loss[r] = w * share * sum;
    p.weight_used[r] = w;
    if (!p.dz) continue;
    T* dz = p.dz + r * p.cols;
    const T factor = w * share;
    for (int64_t c = 0; c < p.cols; ++c) dz[c] = factor * F::d(z[c], t[c], a);
  }
}

/// One output a row: the loop runs over rows, so that a batch of scalars is one vector loop.
template <class F, class T>
void scalar_losses(const RowLoss<T>& p) {
  const T a = p.a;
  for (int64_t r = 0; r < p.rows; ++r) p.weight_used[r] = p.weight ? p.weight[r] : T(1);
  if (p.class_weight)
    for (int64_t r = 0; r < p.rows; ++r) p.weight_used[r] *= p.class_weight[p.target[r] > T(0.5) ? 1 : 0];
  const T *z = p.z, *t = p.target, *w = p.weight_used;
  T *loss = p.row_loss, *dz = p.dz;
#pragma GCC ivdep
  for (int64_t r = 0; r < p.rows; ++r) loss[r] = w[r] * F::f(z[r], t[r], a);
  if (!dz) return;
#pragma GCC ivdep
  for (int64_t r = 0; r < p.rows; ++r) dz[r] = w[r] * F::d(z[r], t[r], a);
}

template <class F, class T>
void loss_of(const RowLoss<T>& p) {
  p.cols == 1 ? scalar_losses<F>(p) : losses<F>(p);
}

template <class T>
void unary(Unary op, const UnaryMap<T>& p) {
  switch (op) {
    case Unary::relu:
      return map<Relu>(p);
    case Unary::leaky_relu:
      return map<LeakyRelu>(p);
    case Unary::elu:
      return map<Elu>(p);
    case Unary::gelu:
      return map<Gelu>(p);
    case Unary::sigmoid:
      return map<Sigmoid>(p);
    case Unary::tanh:
      return map<Tanh>(p);
    case Unary::square:
      return map<Square>(p);
    case Unary::absolute:
      return map<Absolute>(p);
    case Unary::exponential:
      return map<Exponential>(p);
    case Unary::logarithm:
      return map<Logarithm>(p);
    case Unary::square_root:
      return map<SquareRoot>(p);
    case Unary::affine:
      return map<Affine>(p);
    case Unary::clamp:
      return map<Clamp>(p);
  }
}

template <class T>
void unary_gradient(Unary op, const UnaryGradient<T>& p) {
  switch (op) {
    case Unary::relu:
      return gradient<Relu>(p);
    case Unary::leaky_relu:
      return gradient<LeakyRelu>(p);
    case Unary::elu:
      return gradient<Elu>(p);
    case Unary::gelu:
      return gradient<Gelu>(p);
    case Unary::sigmoid:
      return gradient<Sigmoid>(p);
    case Unary::tanh:
      return gradient<Tanh>(p);
    case Unary::square:
      return gradient<Square>(p);
    case Unary::absolute:
      return gradient<Absolute>(p);
    case Unary::exponential:
      return gradient<Exponential>(p);
    case Unary::logarithm:
      return gradient<Logarithm>(p);
    case Unary::square_root:
      return gradient<SquareRoot>(p);
    case Unary::affine:
      return gradient<Affine>(p);
    case Unary::clamp:
      return gradient<Clamp>(p);
  }
}

template <class T>
void pointwise_loss(Pointwise op, const RowLoss<T>& p) {
  switch (op) {
    case Pointwise::binary_cross_entropy:
      return loss_of<BinaryCrossEntropy>(p);
    case Pointwise::binary_focal:
      return loss_of<BinaryFocal>(p);
    case Pointwise::mse:
      return loss_of<SquaredError>(p);
    case Pointwise::mae:
      return loss_of<AbsoluteError>(p);
    case Pointwise::huber:
      return loss_of<functors::Huber>(p);
    case Pointwise::pinball:
      return loss_of<Pinball>(p);
    case Pointwise::poisson:
      return loss_of<functors::Poisson>(p);
    case Pointwise::tweedie:
      return loss_of<Tweedie>(p);
  }
}

}  // namespace

template <class T>
void fill_transcendental(TypedKernels<T>& k) {
  k.unary = unary<T>;
  k.unary_gradient = unary_gradient<T>;
  k.pointwise_loss = pointwise_loss<T>;
}
template void fill_transcendental(TypedKernels<float>&);
template void fill_transcendental(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
