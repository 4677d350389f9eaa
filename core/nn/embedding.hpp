// From numbers of tokens to vectors, and vectors of places.
#pragma once
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// Tokens [B, T] of type i32 to [B, T, width]. "weight" [tokens, width], as torch.nn.Embedding.
class Embedding final : public Layer {
 public:
  /// deviation: of the normal distribution that it starts with; PyTorch's is 1.
  Embedding(std::int64_t tokens, std::int64_t width, double deviation = 1);
  using Layer::forward;
  Variable forward(const Variable& tokens, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;
  /// The table, for a head that shares it.
  const Parameter& weight() const { return weight_; }

 private:
  std::int64_t tokens_, width_;
  Parameter& weight_;
};

/// Adds a learnt vector of each place, "weight" [T, C], to x [B, up to T, C]. Source: Gehring et al. 2017.
class LearnedPositions final : public Layer {
 public:
  LearnedPositions(std::int64_t time, std::int64_t width, double deviation = 1);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::int64_t time_, width_;
  Parameter& weight_;
};

/// Adds sines and cosines of the place to x [B, T, C]: sin(t / 10000^(2 i / C)) at 2 i, cos of the same at 2 i + 1. No parameters. Source:
/// Vaswani et al., "Attention is all you need", 2017, section 3.5.
class SinusoidalPositions final : public Layer {
 public:
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override { return "sinusoidal_positions"; }

 private:
  Tensor table_;  // of the longest sequence so far
};

}  // namespace chorale
