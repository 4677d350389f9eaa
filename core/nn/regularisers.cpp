#include <chorale/core/nn/regularisers.hpp>

#include <cstdio>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

Variable Dropout::forward(const Variable& x, const Pass& pass) {
  if (!pass.training || p_ == 0) return x;
  return dropout(x, p_, {random_key(pass), static_cast<std::uint64_t>(pass.first_position * x.value().row_elements())});
}

std::string Dropout::name() const {
  char text[40];
  std::snprintf(text, sizeof text, "dropout(%g)", p_);
  return text;
}

Variable Softmaxed::forward(const Variable& x, const Pass&) { return softmax(x); }

Variable Flatten::forward(const Variable& x, const Pass&) { return reshape(x, {x.value().rows(), x.value().row_elements()}); }

void register_regularisers(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("dropout", {.help = "dropout(P): zeroes elements with probability P while training",
                         .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                           return std::make_unique<Dropout>(a.number(0, "p", 0.5, 0, 0.999));
                         },
                         .sample = "dropout(0.3)",
                         .sample_shape = {9}});
  layers.add("softmax", {.help = "softmax: over the last dimension; cross_entropy works on logits and needs none",
                         .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<Softmaxed>(); },
                         .sample = "softmax",
                         .sample_shape = {6}});
  layers.add("flatten", {.help = "flatten: [B, ...] to [B, features]",
                         .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<Flatten>(); },
                         .sample = "flatten",
                         .sample_shape = {2, 3}});
}

}  // namespace chorale
