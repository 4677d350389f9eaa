// Differentiable operations on images and sequences that lie channels-last: x [B, H, W, C]. A sequence [B, T, C] is an image of height 1.
#pragma once
#include <cstdint>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// Height and width. Of a sequence the height is 1, with stride and dilation 1 and no padding.
struct Pair {
  std::int64_t h = 1, w = 1;
};

struct ConvOptions {
  Pair kernel, stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  std::int64_t groups = 1;
};
/// y [B, H', W', O] with H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1; w [O, C / groups, kernel.h, kernel.w] and
/// b [O] (undefined: none), as PyTorch stores them. Throws ShapeError.
Variable convolution(const Variable& x, const Variable& w, const Variable& b, const ConvOptions& options);

struct PoolOptions {
  Pair window, stride, padding = {0, 0};
};
/// The greatest value of each window, by channel: y [B, H', W', C]; padding never wins. Throws ShapeError.
Variable max_pool(const Variable& x, const PoolOptions& options);
/// The mean of each window; padding counts as zeros where `counts_padding`, else not at all.
Variable average_pool(const Variable& x, const PoolOptions& options, bool counts_padding = true);
/// The mean of each of out.h times out.w windows, from floor(i H / out) to ceil((i + 1) H / out), as PyTorch cuts them.
Variable adaptive_average_pool(const Variable& x, Pair out);
/// [B, H, W, C] to [B, C * H * W]: the order in which PyTorch flattens.
Variable channels_first(const Variable& x);

/// Extent of the result of a window that slides over n values. Throws ShapeError where it does not fit once.
std::int64_t window_count(std::int64_t n, std::int64_t window, std::int64_t stride, std::int64_t padding, std::int64_t dilation = 1);

}  // namespace chorale
