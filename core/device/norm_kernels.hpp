// Parameter structs of the kernels that normalise: groups of channels of a row, and channels over a batch.
// As in kernels.hpp: plain pointers and sizes, no std types.
#pragma once
#include <stdint.h>

namespace chorale {

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

}  // namespace chorale
