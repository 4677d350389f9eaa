// One block of a Transformer: self-attention, then a feed-forward network by place, each added to what it reads. Sources: Vaswani et al.
// 2017 (norm behind the sum); Xiong et al., "On layer normalization in the Transformer architecture", ICML 2020 (norm in front).
#pragma once
#include <chorale/core/nn/attention.hpp>
#include <chorale/core/nn/norms.hpp>
#include <chorale/core/nn/regularisers.hpp>

namespace chorale {

struct BlockOptions {
  std::int64_t width = 128, feed_forward = 512;
  AttentionOptions attention = {};
  double dropout = 0;          // of what either part gives, before it is added; the weights of attention are not dropped
  bool norm_is_first = false;  // "pre"; else "post"
  Unary activation = Unary::relu;
  double residual_gain = 1;  // what the starting weights of both parts' last layers are multiplied by
};

/// x [B, T, width] to the same shape. Parameters are named and laid out as torch.nn.TransformerEncoderLayer's.
class TransformerBlock final : public Layer {
 public:
  explicit TransformerBlock(const BlockOptions& options);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override { return self_attn_.output_shape(in); }
  std::string name() const override;

 private:
  Variable feed_forward(const Variable& x, const Pass& pass);
  BlockOptions options_;
  SelfAttention self_attn_;
  Linear linear1_, linear2_;
  Normalisation norm1_, norm2_;
  Dropout dropout1_, dropout2_;
};

/// "relu" or "gelu". Throws UsageError.
Unary parse_block_activation(const std::string& name);

}  // namespace chorale
