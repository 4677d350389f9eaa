#include <chorale/core/nn/linear.hpp>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, Init::Role start)
    : in_(in),
      out_(out),
      weight_(add_parameter("weight", {out, in}, {start, in, out})),
      bias_(bias ? &add_parameter("bias", {out}, {start == Init::Role::zeros ? start : Init::Role::bias, in, out}) : nullptr) {}

Variable Linear::forward(const Variable& x, const Pass& pass) {
  return linear(x, weight_.use(pass.training), bias_ ? bias_->use(pass.training) : Variable());
}

Variable Linear::forward_with(const Variable& x, Linear& other, const Variable& x2, const Pass& pass) {
  if (other.bias_) throw InternalError("[linear] " + other.name() + " has a bias, which a sum of two layers would leave out");
  const Variable w = weight_.use(pass.training), w2 = other.weight_.use(pass.training);
  return linear_sum({x, w}, bias_ ? bias_->use(pass.training) : Variable(), {x2, w2});
}

Shape Linear::output_shape(const Shape& in) const {
  if (in.rank() < 1 || in[-1] != in_) throw ShapeError("[linear] expected rows [..., " + std::to_string(in_) + "], got " + in.text());
  Shape out = in;
  out[-1] = out_;
  return out;
}

std::string Linear::name() const {
  return "linear(" + std::to_string(in_) + ", " + std::to_string(out_) + (bias_ ? "" : ", bias=false") + ")";
}

void register_linear(Registry& registry) {
  registry.of<LayerEntry>().add("linear", {.help = "linear(OUT, bias=true): fully connected over the last dimension",
                                           .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                                             if (in.rank() < 1)
                                               throw ShapeError("[linear] expected rows [..., features], got " + in.text());
                                             const std::int64_t out = a.count(0, "out");
                                             return std::make_unique<Linear>(in[-1], out, a.flag("bias", true));
                                           },
                                           .sample = "linear(5)",
                                           .sample_shape = {7}});
}

}  // namespace chorale
