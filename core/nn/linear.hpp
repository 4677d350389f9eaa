// The fully connected layer.
#pragma once
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// y [..., out] = x [..., in] weight^T + bias. weight [out, in] and bias [out], names and layout as torch.nn.Linear.
class Linear final : public Layer {
 public:
  /// start: of the weight; with Role::zeros the bias starts at 0 too, so that the layer gives 0 until it has learnt something.
  Linear(std::int64_t in, std::int64_t out, bool bias = true, Init::Role start = Init::Role::weight);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  /// This layer's result for x and the result of `other`, a layer without bias, for x2, in one sum.
  Variable forward_with(const Variable& x, Linear& other, const Variable& x2, const Pass& pass);
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;
  /// Of the weight's first values. Before the arena draws it.
  void set_gain(double gain) { weight_.set_gain(gain); }

 private:
  std::int64_t in_, out_;
  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace chorale
