// The fully connected layer.
#pragma once
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// y [..., out] = x [..., in] weight^T + bias. weight [out, in] and bias [out], names and layout as torch.nn.Linear.
class Linear final : public Layer {
 public:
  Linear(std::int64_t in, std::int64_t out, bool bias = true);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::int64_t in_, out_;
  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace chorale
