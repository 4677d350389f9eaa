// Results side by side.
#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

/// Copies rows of `bytes` between a place in wider rows and rows of their own.
struct Rows {
  std::int64_t rows;
  std::size_t bytes, wide_bytes, at;
  void gather(const Tensor& part, const Tensor& wide) const {
    for (std::int64_t r = 0; r < rows; ++r) wide.device().copy(in(wide, r), of(part, r), bytes);
  }
  void spread(const Tensor& wide, const Tensor& part) const {
    for (std::int64_t r = 0; r < rows; ++r) wide.device().copy(of(part, r), in(wide, r), bytes);
  }
  std::byte* in(const Tensor& wide, std::int64_t r) const { return static_cast<std::byte*>(wide.raw()) + r * wide_bytes + at; }
  std::byte* of(const Tensor& part, std::int64_t r) const { return static_cast<std::byte*>(part.raw()) + r * bytes; }
};

std::vector<std::int64_t> joined_shape(const std::vector<Variable>& parts) {
  std::vector<std::int64_t> out;
  for (const Variable& part : parts) {
    std::vector<std::int64_t> dims(part.shape().dims().begin(), part.shape().dims().end());
    const std::int64_t channels = dims.empty() ? 0 : dims.back();
    if (out.empty()) out = dims, out.empty() ? void() : void(out.back() = 0);
    if (!dims.empty()) dims.back() = out.empty() ? 0 : out.back();
    if (dims.empty() || dims != out || part.dtype() != parts[0].dtype())
      throw ShapeError("[concat] " + parts[0].shape().text() + " and " + part.shape().text() +
                       " differ in type or in more than the last extent");
    out.back() += channels;
  }
  return out;
}

}  // namespace

Variable concat(const std::vector<Variable>& parts) {
  if (parts.empty()) throw ShapeError("[concat] expected at least one tensor");
  const Shape shape(joined_shape(parts));
  Tensor y = Tensor::empty(parts[0].value().device(), shape, parts[0].dtype());
  const std::size_t element = size_bytes(y.dtype());
  std::vector<Rows> places;
  std::vector<Shape> shapes;
  Node::Inputs inputs;
  std::size_t at = 0;
  for (const Variable& part : parts) {
    const std::size_t bytes = static_cast<std::size_t>(part.shape()[-1]) * element;
    const std::int64_t rows = shape[-1] ? shape.elements() / shape[-1] : 0;
    places.push_back({rows, bytes, static_cast<std::size_t>(shape[-1]) * element, at});
    places.back().gather(part.value(), y);
    shapes.push_back(part.shape());
    inputs.push_back(part.node());
    at += bytes;
  }
  std::vector<Node*> nodes;
  for (const auto& input : inputs) nodes.push_back(input.get());
  return make_result(std::move(y), std::move(inputs), [places, shapes, nodes](Tensor dy) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i]) continue;
      Tensor dx = Tensor::empty(dy.device(), shapes[i], dy.dtype());
      places[i].spread(dy, dx);
      nodes[i]->adopt(std::move(dx));
    }
  });
}

}  // namespace chorale
