// What a gate makes of its experts: their weighted sum, or each by its weight, one beside the other.
#include <algorithm>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

void check_mix(const Variable& weights, const std::vector<Variable>& experts) {
  const std::string got = weights.shape().text() + " weights for " + std::to_string(experts.size()) + " experts";
  if (experts.empty() || weights.shape().rank() != 2 || weights.shape()[1] != static_cast<std::int64_t>(experts.size()))
    throw ShapeError("[mix] expected weights [B, experts], got " + got);
  for (const Variable& expert : experts)
    if (expert.shape() != experts[0].shape() || expert.shape().rank() != 2 || expert.shape()[0] != weights.shape()[0] ||
        expert.dtype() != weights.dtype())
      throw ShapeError("[mix] experts " + experts[0].shape().text() + " and " + expert.shape().text() + " with " + got +
                       "; all experts need one shape [B, D] and the weights' type");
}

template <class T>
void mix_backward(const Tensor& weights, const std::vector<Tensor>& experts, Node* weights_node, const std::vector<Node*>& nodes,
                  const Tensor& dy) {
  const std::int64_t rows = dy.shape()[0], cols = dy.shape()[1], count = weights.shape()[1];
  const TypedKernels<T>& kernels = dy.device().typed<T>();
  if (weights_node) {
    Tensor dw = Tensor::empty(dy.device(), weights.shape(), weights.dtype());
    for (std::size_t e = 0; e < experts.size(); ++e)
      kernels.row_dots(
          {.a = experts[e].data<T>(), .b = dy.data<T>(), .out = dw.data<T>() + e, .rows = rows, .cols = cols, .stride = count});
    weights_node->adopt(std::move(dw));
  }
  for (std::size_t e = 0; e < experts.size(); ++e) {
    if (!nodes[e]) continue;
    const GradientTarget dx = nodes[e]->target(experts[e]);
    kernels.scaled_rows({.x = dy.data<T>(),
                         .w = weights.data<T>() + e,
                         .y = dx.memory.data<T>(),
                         .rows = rows,
                         .cols = cols,
                         .stride = count,
                         .accumulate = dx.accumulate});
  }
}

}  // namespace

Variable mix(const Variable& weights, const std::vector<Variable>& experts) {
  check_mix(weights, experts);
  const std::int64_t rows = weights.shape()[0], cols = experts[0].shape()[1], count = weights.shape()[1];
  Tensor y = Tensor::empty(weights.value().device(), {rows, cols}, weights.dtype());
  Node::Inputs inputs{weights.node()};
  std::vector<Tensor> values;
  std::vector<Node*> nodes;  // kept alive by the inputs
  for (const Variable& expert : experts) {
    inputs.push_back(expert.node());
    nodes.push_back(expert.node().get());
    values.push_back(expert.value());
  }
  with_float_type(y.dtype(), [&]<class T>() {
    for (std::size_t e = 0; e < values.size(); ++e)
      y.device().typed<T>().scaled_rows({.x = values[e].data<T>(),
                                         .w = weights.value().data<T>() + e,
                                         .y = y.data<T>(),
                                         .rows = rows,
                                         .cols = cols,
                                         .stride = count,
                                         .accumulate = e > 0});
  });
  Node* wn = weights.node().get();
  return make_result(std::move(y), std::move(inputs),
                     [wn, w = weights.value(), values = std::move(values), nodes = std::move(nodes)](Tensor dy) {
                       with_float_type(dy.dtype(), [&]<class T>() { mix_backward<T>(w, values, wn, nodes, dy); });
                     });
}

namespace {

/// The same weights for each of `rows`: [rows * E].
template <class T>
Tensor repeated(const Tensor& weights, std::int64_t rows) {
  Tensor all = Tensor::empty(weights.device(), {rows * weights.elements()}, weights.dtype());
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(weights.data<T>(), weights.elements(), all.data<T>() + r * weights.elements());
  return all;
}

}  // namespace

Variable scale_runs(const Variable& x, const Variable& weights) {
  const std::int64_t count = weights.value().elements();
  if (x.shape().rank() != 2 || weights.shape() != Shape{1, count} || count == 0 || x.shape()[1] % count != 0 ||
      x.dtype() != weights.dtype())
    throw ShapeError("[scale_runs] expected x [B, E * D] and weights [1, E] of one type, got " + x.shape().text() + " and " +
                     weights.shape().text());
  const std::int64_t rows = x.shape()[0], cols = x.shape()[1] / count;
  Tensor y = Tensor::empty(x.value().device(), x.shape(), x.dtype()), all;
  with_float_type(x.dtype(), [&]<class T>() {
    all = repeated<T>(weights.value(), rows);
    y.device().typed<T>().scaled_rows({.x = x.value().data<T>(),
                                       .w = all.data<T>(),
                                       .y = y.data<T>(),
                                       .rows = rows * count,
                                       .cols = cols,
                                       .stride = 1,
                                       .accumulate = false});
  });
  Node *xn = x.node().get(), *wn = weights.node().get();  // kept alive by the inputs
  return make_result(std::move(y), {x.node(), weights.node()}, [=, x = x.value(), w = weights.value(), all = std::move(all)](Tensor dy) {
    with_float_type(dy.dtype(), [&]<class T>() {
      const TypedKernels<T>& kernels = dy.device().typed<T>();
      if (wn) {
        Tensor dots = Tensor::empty(dy.device(), all.shape(), dy.dtype());
        kernels.row_dots({.a = x.data<T>(), .b = dy.data<T>(), .out = dots.data<T>(), .rows = rows * count, .cols = cols, .stride = 1});
        const GradientTarget dw = wn->target(w);
        kernels.column_sums(dots.data<T>(), dw.memory.data<T>(), rows, count, dw.accumulate);
      }
      if (!xn) return;
      const GradientTarget dx = xn->target(x);
      kernels.scaled_rows({.x = dy.data<T>(),
                           .w = all.data<T>(),
                           .y = dx.memory.data<T>(),
                           .rows = rows * count,
                           .cols = cols,
                           .stride = 1,
                           .accumulate = dx.accumulate});
    });
  });
}

}  // namespace chorale
