// Differentiable operations, each with forward and backward side by side in its source. Float types f32 and f64; operands agree in type.
#pragma once
#include <cstdint>
#include <vector>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// y [..., N] = x [..., K] w^T + b, with w [N, K] and b [N] (undefined: none), as PyTorch stores them. Throws ShapeError.
Variable linear(const Variable& x, const Variable& w, const Variable& b = {});
/// What two layers give in one sum, [..., N] = x w^T + b + x2 w2^T: the second product is added in place. Throws ShapeError.
struct LinearTerm {
  const Variable& x;
  const Variable& w;
};
Variable linear_sum(LinearTerm first, const Variable& b, LinearTerm second);
/// c [M, N] = a [M, K] b [K, N].
Variable matmul(const Variable& a, const Variable& b);

/// Element-wise f(x) with the constants of functors.hpp.
Variable map(Unary f, const Variable& x, double a = 0, double b = 0);
inline Variable relu(const Variable& x) { return map(Unary::relu, x); }
inline Variable leaky_relu(const Variable& x, double slope = 0.01) { return map(Unary::leaky_relu, x, slope); }
inline Variable elu(const Variable& x, double alpha = 1) { return map(Unary::elu, x, alpha); }
inline Variable gelu(const Variable& x) { return map(Unary::gelu, x); }
inline Variable sigmoid(const Variable& x) { return map(Unary::sigmoid, x); }
inline Variable tanh(const Variable& x) { return map(Unary::tanh, x); }
inline Variable square(const Variable& x) { return map(Unary::square, x); }
inline Variable abs(const Variable& x) { return map(Unary::absolute, x); }
inline Variable exp(const Variable& x) { return map(Unary::exponential, x); }
inline Variable log(const Variable& x) { return map(Unary::logarithm, x); }
inline Variable sqrt(const Variable& x) { return map(Unary::square_root, x); }
inline Variable affine(const Variable& x, double a, double b) { return map(Unary::affine, x, a, b); }
inline Variable clamp(const Variable& x, double low, double high) { return map(Unary::clamp, x, low, high); }

/// Element-wise on equal shapes. Throws ShapeError.
Variable combine(Binary f, const Variable& a, const Variable& b);
inline Variable operator+(const Variable& a, const Variable& b) { return combine(Binary::add, a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return combine(Binary::subtract, a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return combine(Binary::multiply, a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return combine(Binary::divide, a, b); }
inline Variable operator*(double a, const Variable& x) { return affine(x, a, 0); }
inline Variable operator+(const Variable& x, double b) { return affine(x, 1, b); }
inline Variable operator-(const Variable& x, double b) { return affine(x, 1, -b); }

struct NormOptions {
  std::int64_t groups = 1;   // of channels, which lie last; each is normalised by itself
  bool over_places = false;  // statistics of a row over all of its places [B, ..., C]; else of each place alone
  bool is_centred = true;    // false: the mean counts as 0 (root mean square)
  double eps = 1e-5;
};
/// (x - mean) / sqrt(variance + eps) gamma + beta for x [..., C], with the biased variance; gamma, beta [C] (undefined: 1 and 0). Throws
/// ShapeError. Sources: Ba et al. 2016 (layer), Wu & He 2018 (group), Zhang & Sennrich 2019 (root mean square).
Variable normalise(const Variable& x, const Variable& gamma, const Variable& beta, const NormOptions& options);

/// Softmax over the last dimension.
Variable softmax(const Variable& x);
/// y [B, D] = sum over e of weights [B, E] column e times experts[e] [B, D]: what a gate makes of its experts. Throws ShapeError.
Variable mix(const Variable& weights, const std::vector<Variable>& experts);
/// y [B, E * D] = x, each of its E runs of D columns times its weight, weights [1, E]. Throws ShapeError.
Variable scale_runs(const Variable& x, const Variable& weights);
/// Sum of all elements, accumulated in f64: [].
Variable sum(const Variable& x);
/// Sum over everything behind the first dimension: [B, ...] to [B].
Variable row_sums(const Variable& x);
/// Side by side in the last dimension, [..., C1 + C2 + ...]. Throws ShapeError where other extents or types differ.
Variable concat(const std::vector<Variable>& parts);
/// The same elements under another shape.
Variable reshape(const Variable& x, const Shape& shape);

/// Zeroes each element with probability p and scales the rest by 1 / (1 - p). Element i takes the Philox number of (key, first + i), so a
/// share of a batch draws what the whole batch would. Source: Srivastava et al., JMLR 2014.
struct DropoutKey {
  std::uint64_t key = 0;
  std::uint64_t first = 0;
};
Variable dropout(const Variable& x, double p, DropoutKey key);

}  // namespace chorale
