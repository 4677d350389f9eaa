// Layers without parameters that work on each element: relu, leaky_relu, elu, gelu, sigmoid, tanh.
#pragma once
#include <string>

#include <chorale/core/device/kernels.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// y = f(x), constant a as functors.hpp says (slope, alpha).
class Activation final : public Layer {
 public:
  Activation(std::string name, Unary f, double a = 0) : name_(std::move(name)), f_(f), a_(a) {}
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  std::string name() const override { return name_; }
  bool is_growing() const override { return f_ == Unary::relu; }
  bool is_relu() const override { return f_ == Unary::relu; }

 private:
  std::string name_;
  Unary f_;
  double a_;
};

}  // namespace chorale
