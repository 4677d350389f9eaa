// Batch normalisation, over samples and places, by channel: [B, C], [B, T, C] and [B, H, W, C] alike.
// Source: Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", ICML 2015.
#pragma once
#include <chorale/core/autograd/channel_norm.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// x [B, ..., C] to the same shape. Names as PyTorch's: "weight" [C] starts at 1 and "bias" [C] at 0; "running_mean", "running_var" and
/// "num_batches_tracked" are buffers. In training a virtual worker's rows are normalised with their own mean and biased variance, so
/// results depend on how many virtual workers there are; fewer than two values a channel, and evaluation, use the running ones.
/// Synchronised, the rows of all ranks count as one worker's.
class BatchNorm final : public Layer {
 public:
  struct Options {
    double eps = 1e-5, momentum = 0.1;
    bool is_affine = true, is_synchronised = false;
  };
  BatchNorm(std::int64_t channels, const Options& options);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override { return forward_with_epilogue(x, {}, pass); }
  bool takes_epilogue() const override { return true; }
  Variable forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override { return "batch_norm(" + std::to_string(channels_) + ")"; }

 private:
  Moments merged(const Moments& own, const Pass& pass) const;
  std::int64_t channels_;
  Options options_;
  Parameter *weight_, *bias_;
  RunningStatistics& statistics_;
};

}  // namespace chorale
