// Layers without parameters that look at whole rows or at the pass: dropout, softmax, flatten, reshape.
#pragma once
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// Zeroes elements with probability p while training. Element j of the sample at position i of the global batch draws number i * features +
/// j, so masks do not depend on how the batch is shared.
class Dropout final : public Layer {
 public:
  explicit Dropout(double p) : p_(p) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  std::string name() const override;

 private:
  double p_;
};

/// Softmax over the last dimension.
class Softmaxed final : public Layer {
 public:
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  std::string name() const override { return "softmax"; }
};

/// [B, ...] to [B, elements of a row]; images [B, H, W, C] in PyTorch's order, channel by channel.
class Flatten final : public Layer {
 public:
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override { return {in.elements()}; }
  std::string name() const override { return "flatten"; }
};

/// [B, ...] to [B, row...], the same numbers in the same order: features of a table as images [H, W, C].
class Reshaped final : public Layer {
 public:
  explicit Reshaped(const Shape& row) : row_(row) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  Shape row_;
};

}  // namespace chorale
