// Parameter structs of the kernels behind the device seam: plain pointers and sizes, read by the C++ and the CUDA compiler alike.
// No std types: this header is compiled once per instruction set.
#pragma once
#include <stdint.h>

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

/// Groups of channels normalised over their places: x [rows, places, channels] is cut into `groups` of neighbouring channels, and of each
/// row's group y = (x - mean) / sqrt(variance + eps) gamma + beta, by channel; where not `is_centred`, mean counts as 0. gamma, beta
/// [channels] or null. stats [rows, groups, 2]: mean and 1 / sqrt(variance + eps), written for the gradient.
struct NormExtents {
  int64_t rows, places, channels, groups;
  bool is_centred;
  double eps;
};
template <class T>
struct Norm {
  NormExtents e;
  const T* x;
  const T* gamma;
  const T* beta;
  T* y;
  T* stats;
};
/// dx; dgamma and dbeta [channels] (null: not wanted) = or += by their flags. dx may be dy.
template <class T>
struct NormGradient {
  NormExtents e;
  const T* x;
  const T* gamma;
  const T* stats;
  const T* dy;
  T* dx;
  T* dgamma;
  T* dbeta;
  bool accumulate_gamma, accumulate_beta;
};

/// Of every channel over all rows of x [rows, channels]: the mean, and the mean square of what lies around it.
template <class T>
struct ChannelMoments {
  const T* x;
  int64_t rows, channels;
  T* mean;
  T* variance;
};
/// y = (x - mean) scale + beta [+ addend], by channel, with scale = gamma / sqrt(variance + eps), then 0 for what is below 0 where
/// `has_relu`. gamma, beta [channels] or null; addend [rows, channels] or null; x may be y.
template <class T>
struct ChannelNorm {
  const T* x;
  int64_t rows, channels;
  const T* mean;
  const T* variance;
  const T* gamma;
  const T* beta;
  const T* addend;
  T* y;
  double eps;
  bool has_relu;
};
/// The two sums that its gradients are made of, by channel: sums[c] of dy, sums[channels + c] of dy (x - mean) / sqrt(variance + eps).
/// Where y is not null, dy first becomes 0 where y is not above 0, in place: the gradient before the relu.
template <class T>
struct ChannelNormSums {
  const T* x;
  int64_t rows, channels;
  const T* mean;
  const T* variance;
  const T* y;
  T* dy;
  double* sums;
  double eps;
};
/// dx from dy and those sums, taken over `count` rows, of which these may be a part; count 0: mean and variance are constants. dx may be
/// dy.
template <class T>
struct ChannelNormGradient {
  const T* x;
  int64_t rows, channels;
  const T* mean;
  const T* variance;
  const T* gamma;
  const double* sums;
  const T* dy;
  T* dx;
  double eps, count;
};

/// A convolution's extents. Images lie channels-last, [images, height, width, channels]; weights as PyTorch stores them,
/// [out, in / groups, kernel_h, kernel_w].
struct ConvExtents {
  int64_t images, height, width, in;
  int64_t out_height, out_width, out;
  int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
};
/// y = w * x + bias (null: none), cross-correlation as PyTorch means it.
template <class T>
struct Convolution {
  ConvExtents e;
  const T* x;
  const T* w;
  const T* bias;
  T* y;
};
/// dx = the gradient by x, written over what is there.
template <class T>
struct ConvolutionDataGradient {
  ConvExtents e;
  const T* dy;
  const T* w;
  T* dx;
};
/// dw and db = the gradients by w and bias (null: not wanted), or added to them.
template <class T>
struct ConvolutionWeightGradient {
  ConvExtents e;
  const T* x;
  const T* dy;
  T* dw;
  T* db;
  bool accumulate;
};

/// Windows over images that lie channels-last. The extents of windows and steps are fixed, or where `is_adaptive` follow from those of the
/// result: window i spans [floor(i n / out), ceil((i + 1) n / out)).
struct PoolExtents {
  int64_t images, height, width, channels;
  int64_t out_height, out_width;
  int64_t window_h, window_w, stride_h, stride_w, pad_h, pad_w;
  bool is_adaptive;
  bool counts_padding;  // averages divide by the whole window
};
/// y = the greatest of each window, NaN included; at = where it lies in its image, height * width + width (null: nobody asks).
template <class T>
struct MaxPool {
  PoolExtents e;
  const T* x;
  T* y;
  int32_t* at;
};
/// dx [images, height, width, channels] = dy where it came from, 0 elsewhere.
template <class T>
struct MaxPoolGradient {
  PoolExtents e;
  const T* dy;
  const int32_t* at;
  T* dx;
};
template <class T>
struct AveragePool {
  PoolExtents e;
  const T* x;
  T* y;
};
template <class T>
struct AveragePoolGradient {
  PoolExtents e;
  const T* dy;
  T* dx;
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
