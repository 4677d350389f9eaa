// Residual networks by name: the layers of `model.kind = resnet`.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/base/shape.hpp>

namespace chorale {

struct ResNetOptions {
  std::vector<std::int64_t> widths = {16, 32, 64};  // channels of each stage
  std::int64_t blocks = 2;                          // of each stage
};

/// "16 32 64" as channels. Throws UsageError.
std::vector<std::int64_t> parse_widths(const std::vector<std::string>& words);

/// The expression of build_layers() for rows of images [H, W, C]: a convolution, stages of basic blocks, of which the first of each stage
/// but the first has stride 2 and a projection, the mean over all places and a linear layer. No convolution has a bias, as batch_norm comes
/// behind. Throws UsageError for rows of another rank.
/// Source: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.
std::string resnet_layers(const ResNetOptions& options, const Shape& in, std::int64_t outputs);

}  // namespace chorale
