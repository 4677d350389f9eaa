// Pooling over images [B, H, W, C], by channel.
#pragma once
#include <chorale/core/autograd/image_ops.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// The greatest of each window.
class MaxPool2d final : public Layer {
 public:
  explicit MaxPool2d(const PoolOptions& options) : options_(options) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;
  bool goes_before_growing() const override { return true; }

 private:
  PoolOptions options_;
};

/// The mean of each window.
class AveragePool2d final : public Layer {
 public:
  AveragePool2d(const PoolOptions& options, bool counts_padding) : options_(options), counts_padding_(counts_padding) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  PoolOptions options_;
  bool counts_padding_;
};

/// The mean of out.h times out.w windows, whatever the image's size.
class AdaptiveAveragePool2d final : public Layer {
 public:
  explicit AdaptiveAveragePool2d(Pair out) : out_(out) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  Pair out_;
};

}  // namespace chorale
