// Multi-head self-attention. Source: Vaswani et al., "Attention is all you need", 2017.
#pragma once
#include <chorale/core/autograd/sequence_ops.hpp>
#include <chorale/core/nn/linear.hpp>

namespace chorale {

/// x [B, T, width] to the same shape. Parameters as torch.nn.MultiheadAttention's: "in_proj_weight" [3 width, width], "in_proj_bias",
/// "out_proj.weight" [width, width] and "out_proj.bias".
class SelfAttention final : public Layer {
 public:
  /// Throws UsageError where the heads do not divide the width.
  SelfAttention(std::int64_t width, const AttentionOptions& options);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;
  Linear& projection() { return out_proj_; }

 private:
  std::int64_t width_;
  AttentionOptions options_;
  Parameter &in_proj_weight_, &in_proj_bias_;
  Linear out_proj_;
};

}  // namespace chorale
