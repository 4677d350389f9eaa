// Normalisation by sample: layer_norm, rms_norm, group_norm. Statistics never cross samples, so bits do not depend on how a batch is cut.
#pragma once
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// x [B, ..., C] to the same shape. "weight" [C] starts at 1, "bias" [C] at 0, as PyTorch names them.
class Normalisation final : public Layer {
 public:
  struct Parameters {
    bool weight = true, bias = true;
  };
  /// kind: what name() calls it.
  Normalisation(std::string kind, std::int64_t channels, const NormOptions& options, Parameters parameters);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::string kind_;
  std::int64_t channels_;
  NormOptions options_;
  Parameter *weight_, *bias_;
};

}  // namespace chorale
