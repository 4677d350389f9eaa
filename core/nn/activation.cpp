#include <chorale/core/nn/activation.hpp>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

Variable Activation::forward(const Variable& x, const Pass&) { return map(f_, x, a_); }

namespace {
template <Unary f>
void add(Registry& registry, const char* layer_name, const char* help) {
  static const std::string held = layer_name;
  registry.of<LayerEntry>().add(
      held, {.help = help,
             .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<Activation>(held, f); },
             .sample = held,
             .sample_shape = {7}});
}
}  // namespace

void register_activation(Registry& registry) {
  add<Unary::relu>(registry, "relu", "relu: max(x, 0)");
  add<Unary::gelu>(registry, "gelu", "gelu: x times the normal distribution function of x");
  add<Unary::sigmoid>(registry, "sigmoid", "sigmoid: 1 / (1 + exp(-x)); losses on logits need none at the end");
  add<Unary::tanh>(registry, "tanh", "tanh: hyperbolic tangent");
  registry.of<LayerEntry>().add("leaky_relu", {.help = "leaky_relu(slope=0.01): x, or slope x below 0",
                                               .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                                                 return std::make_unique<Activation>("leaky_relu", Unary::leaky_relu,
                                                                                     a.number(0, "slope", 0.01, 0, 1));
                                               },
                                               .sample = "leaky_relu(0.1)",
                                               .sample_shape = {7}});
  registry.of<LayerEntry>().add("elu", {.help = "elu(alpha=1): x, or alpha (exp(x) - 1) below 0",
                                        .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                                          return std::make_unique<Activation>("elu", Unary::elu, a.number(0, "alpha", 1, 0, 100));
                                        },
                                        .sample = "elu(0.5)",
                                        .sample_shape = {7}});
}

}  // namespace chorale
