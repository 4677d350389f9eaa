// Convolutions over images [B, H, W, C] and sequences [B, T, C], channels-last. Source: LeCun et al., "Gradient-based learning applied to
// document recognition", Proc. IEEE 1998.
#pragma once
#include <chorale/core/autograd/image_ops.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// [B, H, W, in] to [B, H', W', out]. Parameters as PyTorch's: "weight" [out, in / groups, kernel.h, kernel.w], "bias" [out].
class Conv2d final : public Layer {
 public:
  /// Throws UsageError where groups do not divide the channels.
  Conv2d(std::int64_t in, std::int64_t out, const ConvOptions& options, bool bias = true);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::int64_t in_, out_;
  ConvOptions options_;
  Parameter& weight_;
  Parameter* bias_;
};

/// [B, T, in] to [B, T', out]. "weight" is [out, in / groups, kernel].
class Conv1d final : public Layer {
 public:
  struct Options {
    std::int64_t kernel, stride = 1, padding = 0, dilation = 1, groups = 1;
  };
  Conv1d(std::int64_t in, std::int64_t out, const Options& options, bool bias = true);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::int64_t in_, out_;
  Options options_;
  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace chorale
