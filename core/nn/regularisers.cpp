#include <chorale/core/nn/regularisers.hpp>

#include <cstdio>

#include <chorale/core/autograd/image_ops.hpp>
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

Variable Flatten::forward(const Variable& x, const Pass&) {
  return x.shape().rank() == 4 ? channels_first(x) : reshape(x, {x.value().rows(), x.value().row_elements()});
}

Variable Reshaped::forward(const Variable& x, const Pass&) {
  std::vector<std::int64_t> dims{x.value().rows()};
  dims.insert(dims.end(), row_.dims().begin(), row_.dims().end());
  return reshape(x, Shape(dims));
}

Shape Reshaped::output_shape(const Shape& in) const {
  if (in.elements() != row_.elements())
    throw ShapeError("[reshape] rows of " + in.text() + " have " + std::to_string(in.elements()) + " numbers, " + row_.text() + " has " +
                     std::to_string(row_.elements()));
  return row_;
}

namespace {
std::string extents_text(const Shape& row) {
  std::string text;
  for (const std::int64_t n : row.dims()) text += (text.empty() ? "" : "x") + std::to_string(n);
  return text;
}
}  // namespace

std::string Reshaped::name() const { return "reshape(" + extents_text(row_) + ")"; }

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
  layers.add("reshape", {.help = "reshape(28x28x1): the features of a row as an image [H, W, C]; any extents of as many numbers",
                         .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                           auto layer = std::make_unique<Reshaped>(a.shape(0, "extents"));
                           layer->output_shape(in);
                           return layer;
                         },
                         .sample = "reshape(2x3x1)",
                         .sample_shape = {6}});
  layers.add("flatten", {.help = "flatten: [B, ...] to [B, features]; images channel by channel, as PyTorch",
                         .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<Flatten>(); },
                         .sample = "flatten",
                         .sample_shape = {2, 3}});
}

}  // namespace chorale
