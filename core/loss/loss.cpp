#include <chorale/core/loss/loss.hpp>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

LossValue Loss::of(const Values& results, const Values& in) {
  const Variable* weight = in.find("weight");
  return forward(results.at("y"), in.at("target").value(), weight ? weight->value() : Tensor());
}

LossValue weighted_sum(const Variable& per_sample, const Tensor& weight) {
  Tensor weights = weight;
  if (!weights.defined()) {
    weights = Tensor::empty(per_sample.value().device(), per_sample.shape(), per_sample.dtype());
    with_float_type(per_sample.dtype(), [&]<class T>() { weights.device().typed<T>().fill(weights.data<T>(), T(1), weights.elements()); });
  }
  Variable weighted = weight.defined() ? per_sample * Variable(weight) : per_sample;
  return {sum(weighted), weighted.value(), weights};
}

}  // namespace chorale
