#include <chorale/core/nn/sequential.hpp>

#include <optional>

namespace chorale {

void Sequential::add(std::unique_ptr<Layer> layer) {
  add_child(std::to_string(layers_.size()), *layer);
  layers_.push_back(std::move(layer));
}

void Sequential::insert(std::size_t position, const std::string& name, std::unique_ptr<Layer> layer) {
  insert_child(position, name, *layer);
  layers_.insert(layers_.begin() + static_cast<std::ptrdiff_t>(position), std::move(layer));
}

Variable Sequential::forward(const Variable& x, const Pass& pass) { return forward_through(x, 0, layers_.size(), pass); }

std::size_t Sequential::at_turn(std::size_t i, std::size_t first, std::size_t last) const {
  const auto swaps = [&](std::size_t k) { return layers_[k]->is_growing() && layers_[k + 1]->goes_before_growing(); };
  if (i + 1 < last && swaps(i)) return i + 1;
  return i > first && swaps(i - 1) ? i - 1 : i;
}

Variable Sequential::forward_through(const Variable& x, std::size_t first, std::size_t last, const Pass& pass) {
  static const Epilogue kRelu{.addend = {}, .has_relu = true};
  Variable y = x;
  for (std::size_t turn = first; turn < last; ++turn) {
    const std::size_t i = at_turn(turn, first, last);
    const bool relu_follows =
        turn + 1 < last && at_turn(turn + 1, first, last) == i + 1 && layers_[i + 1]->is_relu() && layers_[i]->takes_epilogue();
    y = forward_layer(i, y, relu_follows ? &kRelu : nullptr, pass);
    if (relu_follows) ++turn;
  }
  return y;
}

Variable Sequential::forward_layer(std::size_t i, const Variable& x, const Epilogue* epilogue, const Pass& pass) {
  Layer& layer = *layers_[i];
  if (pass.observer) pass.observer->forward(layer.path());
  std::string name;
  if (pass.trace && pass.trace->is_on()) name = children()[i].first + " " + layer.name() + (epilogue && epilogue->has_relu ? " relu" : "");
  std::optional<TraceSpan> span;
  if (!name.empty()) span.emplace(pass.trace, name);
  const Variable y = epilogue ? layer.forward_with_epilogue(x, *epilogue, pass) : layer.forward(x, pass);
  if (pass.observer && y.needs_gradient()) y.node()->end_of(layer.path());
  return y;
}

Variable Sequential::forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) {
  const std::size_t last = layers_.size() - 1;
  return forward_layer(last, forward_through(x, 0, last, pass), &epilogue, pass);
}

Shape Sequential::output_shape(const Shape& in) const {
  Shape shape = in;
  for (const auto& layer : layers_) shape = layer->output_shape(shape);
  return shape;
}

}  // namespace chorale
