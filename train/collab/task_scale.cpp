#include <chorale/train/collab/task_scale.hpp>

#include <algorithm>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/nn/linear.hpp>
#include <chorale/core/nn/parameter_pattern.hpp>

namespace chorale {

Variable TaskScale::forward(const Variable& x, const Pass& pass) {
  Tensor ones = Tensor::empty(pass.device, {x.shape()[0], 1}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() { std::fill_n(ones.data<T>(), ones.elements(), T{1}); });
  return x * matmul(Variable(ones), scale_.use(pass.training));
}

void add_task_scales(Sequential& layers, const Shape& in, const std::vector<std::string>& patterns) {
  std::vector<std::string> names;
  for (const Module::Named& each : layers.parameters()) names.push_back(each.name);
  const ParameterNames known(std::move(names));
  std::size_t head = layers.layers().size();
  while (head > 0 && layers.layers()[head - 1]->parameters().empty()) --head;
  struct Place {
    std::size_t position;
    std::string name;
    std::int64_t in, out;
  };
  std::vector<Place> places;
  Shape shape = in;
  for (std::size_t i = 0; i + 1 < head; ++i) {
    const Shape out = layers.layers()[i]->output_shape(shape);
    const std::string& name = layers.children()[i].first;
    const bool is_meant = patterns.empty() || known.is_meant(patterns, name + ".weight");
    if (dynamic_cast<const Linear*>(layers.layers()[i].get()) && shape.rank() == 1 && is_meant)
      places.push_back({i, name, shape[0], out[0]});
    shape = out;
  }
  if (places.empty())
    throw UsageError(
        "collab.trunk.scales has nothing to scale: no fully connected layer of flat rows before the last one is in common; take it out, or "
        "name one in collab.trunk.parameters");
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    layers.insert(place->position + 1, "task_out_" + place->name, std::make_unique<TaskScale>(place->out));
    layers.insert(place->position, "task_in_" + place->name, std::make_unique<TaskScale>(place->in));
  }
}

bool is_task_scale(std::string_view parameter) { return parameter.starts_with("task_in_") || parameter.starts_with("task_out_"); }

}  // namespace chorale
