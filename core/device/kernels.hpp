// Parameter structs of the kernels behind the device seam: plain pointers and sizes, read by the C++ and the CUDA compiler alike.
// No std types: this header is compiled once per instruction set.
#pragma once
#include <stdint.h>

#include <chorale/core/device/image_kernels.hpp>
#include <chorale/core/device/norm_kernels.hpp>
#include <chorale/core/device/sequence_kernels.hpp>

namespace chorale {

/// Element-wise functions of one argument, with their two constants a and b (legend in functors.hpp).
enum class Unary : uint8_t {
  relu,
  leaky_relu,
  elu,
  gelu,
  sigmoid,
  tanh,
  square,
  absolute,
  exponential,
  logarithm,
  square_root,
  affine,
  clamp
};
/// Element-wise functions of two arguments of equal size.
enum class Binary : uint8_t { add, subtract, multiply, divide };
/// Losses of one prediction and one target.
enum class Pointwise : uint8_t { binary_cross_entropy, binary_focal, mse, mae, huber, pinball, poisson, tweedie };

/// c [m, n] = op(a) [m, k] op(b) [k, n] + beta c, row-major, dense. bias [n] or null is added to every row.
template <class T>
struct Gemm {
  const T* a;
  const T* b;
  T* c;
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false;
  bool accumulate = false;  // beta 1, else 0
  const T* bias = nullptr;
};

/// y [blocks, cols, rows] = x [blocks, rows, cols] with each block transposed.
template <class T>
struct Transposition {
  const T* x;
  T* y;
  int64_t blocks, rows, cols;
};

template <class T>
struct UnaryMap {
  const T* x;
  T* y;
  int64_t n;
  T a = 0, b = 0;
};

/// dx = dy f'(x, y); dx may be dy.
template <class T>
struct UnaryGradient {
  const T* x;
  const T* y;
  const T* dy;
  T* dx;
  int64_t n;
  T a = 0, b = 0;
};

/// y [rows, cols] = softmax of x by row; with gradient: dx = y (dy - <dy, y>).
template <class T>
struct Softmax {
  const T* x;
  T* y;
  int64_t rows, cols;
};
template <class T>
struct SoftmaxGradient {
  const T* y;
  const T* dy;
  T* dx;
  int64_t rows, cols;
};

/// y [rows, cols] = w x by row, or added to y; row r's w is w[r * stride].
template <class T>
struct ScaledRows {
  const T* x;
  const T* w;
  T* y;
  int64_t rows, cols, stride;
  bool accumulate;
};
/// out[r * stride] = <a_r, b_r> for a, b [rows, cols].
template <class T>
struct RowDots {
  const T* a;
  const T* b;
  T* out;
  int64_t rows, cols, stride;
};

/// row_loss [rows] = weight loss; dz [rows, cols] its gradient (null: not wanted). weight [rows] or null, class_weight [classes] or null.
/// weight_used [rows]: the weight that each row counted with.
template <class T>
struct RowLoss {
  const T* z;
  const T* target;
  const T* weight;
  const T* class_weight;
  T* row_loss;
  T* weight_used;
  T* dz;
  int64_t rows, cols;
  T a = 0;      // the functor's constant; of cross_entropy its label smoothing
  T gamma = 0;  // of cross_entropy: focal loss; not together with smoothing
};

/// y = keep ? x / (1 - p) : 0, by the Philox number of (key, first + i). With x null the mask's factor is applied to y in place.
template <class T>
struct DropoutMap {
  const T* x;
  T* y;
  int64_t n;
  uint64_t key, first;
  float p;
};

struct UpdateScalars {
  double lr = 0, momentum = 0, dampening = 0, beta1 = 0, beta2 = 0, eps = 0;
  double l2 = 0;                            // added to the gradient
  double decoupled = 0;                     // subtracted from the parameter, times lr
  double grad_scale = 1;                    // one division by the global weight, clipping included
  double clip_value = 0;                    // 0: none
  double correction1 = 1, correction2 = 1;  // 1 / (1 - beta^t)
  double correction_g = 0;                  // nadam: of the gradient itself, beside correction1 of its mean
  bool nesterov = false, first_step = false;
};

/// At most a block of 4,096 elements: state in, state and parameters out.
template <class T>
struct Update {
  T* p;
  const T* g;
  T* s0;
  T* s1;
  int64_t n;
  T* direction = nullptr;  // lamb_moments: where its step without rate and trust ratio is written
};
/// An update rule.
template <class T>
using UpdateKernel = void (*)(const UpdateScalars& s, const Update<T>& u);

/// The kernels of one element type, compiled for one instruction set.
template <class T>
struct TypedKernels {
  void (*fill)(T* y, T value, int64_t n);
  void (*unary)(Unary op, const UnaryMap<T>& p);
  void (*unary_gradient)(Unary op, const UnaryGradient<T>& p);
  void (*binary)(Binary op, const T* a, const T* b, T* c, int64_t n);
  void (*axpy)(T a, const T* x, T* y, int64_t n);          // y += a x
  void (*approach)(T share, const T* x, T* y, int64_t n);  // y += share (x - y)
  void (*add_rows)(T* y, const T* bias, int64_t rows, int64_t cols);
  void (*column_sums)(const T* x, T* sums, int64_t rows, int64_t cols, bool accumulate);
  void (*row_vector)(const T* x, const T* w, T* y, int64_t rows, int64_t cols, T bias);  // y [rows] = x w + bias
  void (*softmax)(const Softmax<T>& p);
  void (*softmax_gradient)(const SoftmaxGradient<T>& p);
  void (*scaled_rows)(const ScaledRows<T>& p);
  void (*row_dots)(const RowDots<T>& p);
  void (*lookup)(const Lookup<T>& p);
  void (*lookup_gradient)(const LookupGradient<T>& p);
  void (*lstm)(const Recurrent<T>& p);
  void (*lstm_gradient)(const RecurrentGradient<T>& p);
  void (*gru)(const Recurrent<T>& p);
  void (*gru_gradient)(const RecurrentGradient<T>& p);
  void (*swap_rows)(const SwappedRows<T>& p);
  void (*attention)(const Attention<T>& p);
  void (*attention_gradient)(const AttentionGradient<T>& p);
  void (*norm)(const Norm<T>& p);
  void (*norm_gradient)(const NormGradient<T>& p);
  void (*channel_moments)(const ChannelMoments<T>& p);
  void (*channel_norm)(const ChannelNorm<T>& p);
  void (*channel_norm_sums)(const ChannelNormSums<T>& p);
  void (*channel_norm_gradient)(const ChannelNormGradient<T>& p);
  void (*max_pool)(const MaxPool<T>& p);
  void (*max_pool_gradient)(const MaxPoolGradient<T>& p);
  void (*average_pool)(const AveragePool<T>& p);
  void (*average_pool_gradient)(const AveragePoolGradient<T>& p);
  void (*transpose)(const Transposition<T>& p);
  void (*pointwise_loss)(Pointwise op, const RowLoss<T>& p);
  void (*cross_entropy)(const RowLoss<T>& p);
  void (*dropout)(const DropoutMap<T>& p);
  void (*add)(const T* a, const T* b, T* c, int64_t n);      // reductions: no contraction, fixed order
  double (*sum)(const T* x, int64_t n);                      // f64 accumulation, sixteen lanes
  double (*sum_of_squares)(const T* x, int64_t n, T scale);  // of scale x
  int64_t (*first_not_finite)(const T* x, int64_t n);        // -1: all finite
  UpdateKernel<T> sgd, adam, rmsprop, adagrad;               // no contraction either: every exchange gives equal bits
  UpdateKernel<T> adamax, nadam, lion;
  UpdateKernel<T> lamb_moments, lamb;  // state and direction; then, from the new state, the step
};

struct KernelTable {
  const char* isa;
  TypedKernels<float> f32;
  TypedKernels<double> f64;
};

}  // namespace chorale
