// Normalisation by channel over all samples of a share: what batch normalisation is made of.
#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// Of each channel: mean and mean square around it [C], over `count` values, which may lie elsewhere in part. count 0: constants that no
/// gradient flows through.
struct Moments {
  Tensor mean, variance;
  double count = 0;
};

/// Those of x [..., C]. No gradient is recorded. With no rows mean and variance are undefined.
Moments channel_moments(const Tensor& x);

struct ChannelNormOptions {
  double eps = 1e-5;
  bool has_relu = false;
  /// Makes of sums over these rows sums over all rows that the moments are of. Empty: they are these rows' alone. Called once in backward.
  std::function<void(std::span<double>)> merge = {};
};
/// (x - mean) / sqrt(variance + eps) gamma + beta [+ addend, of x's shape], then the relu where asked for; x [..., C], gamma and beta [C]
/// (undefined: 1 and 0). The gradient by x includes that by way of the moments where their count is above 0. Throws ShapeError.
/// Source: Ioffe & Szegedy, "Batch normalization", ICML 2015.
Variable channel_normalise(const Variable& x, const Moments& moments, const Variable& gamma, const Variable& beta, const Variable& addend,
                           const ChannelNormOptions& options);

}  // namespace chorale
