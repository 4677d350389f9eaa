// The graph node of the fused losses: one kernel gives each row's loss, weight and gradient.
#pragma once
#include <chorale/core/loss/loss.hpp>

namespace chorale {

/// Constants of a kernel, as in RowLoss.
struct LossConstants {
  double a = 0, gamma = 0;
};

/// Runs kernel(RowLoss<T>&) over [rows, cols] and ties its gradient to `prediction`. class_weights of the prediction's type, or undefined.
template <class Kernel>
LossValue row_loss(const Variable& prediction, const Tensor& target, const Tensor& weight, const Tensor& class_weights,
                   const LossConstants& constants, Kernel kernel) {
  const Tensor& z = prediction.value();
  const std::int64_t rows = z.rows(), cols = z.row_elements();
  LossValue out{{}, Tensor::empty(z.device(), {rows}, z.dtype()), Tensor::empty(z.device(), {rows}, z.dtype())};
  Tensor dz = prediction.needs_gradient() ? Tensor::empty(z.device(), z.shape(), z.dtype()) : Tensor();
  Tensor total = Tensor::empty(z.device(), Shape{}, z.dtype());
  with_float_type(z.dtype(), [&]<class T>() {
    const auto pointer = [](const Tensor& t) { return t.defined() ? t.data<T>() : static_cast<T*>(nullptr); };
    kernel(z.device().typed<T>(), RowLoss<T>{.z = z.data<T>(),
                                             .target = target.data<T>(),
                                             .weight = pointer(weight),
                                             .class_weight = pointer(class_weights),
                                             .row_loss = out.sample_loss.data<T>(),
                                             .weight_used = out.sample_weight.data<T>(),
                                             .dz = pointer(dz),
                                             .rows = rows,
                                             .cols = cols,
                                             .a = T(constants.a),
                                             .gamma = T(constants.gamma)});
    *total.data<T>() = T(z.device().typed<T>().sum(out.sample_loss.data<T>(), rows));
  });
  Node* node = prediction.node().get();
  out.total = make_result(std::move(total), {prediction.node()}, [node, dz](Tensor seed) {
    Tensor gradient = dz;
    with_float_type(dz.dtype(), [&]<class T>() {
      const T factor = *seed.data<T>();
      if (factor == T(1)) return;  // the usual case: the root of the graph
      gradient = Tensor::empty(dz.device(), dz.shape(), dz.dtype());
      dz.device().typed<T>().unary(Unary::affine, {.x = dz.data<T>(), .y = gradient.data<T>(), .n = dz.elements(), .a = factor, .b = T(0)});
    });
    node->adopt(std::move(gradient));
  });
  return out;
}

/// Throws ShapeError unless `target` (and `weight`, where defined) has one row a row of `prediction` and its type.
void check_rows(const char* loss, const Tensor& prediction, const Tensor& target, const Tensor& weight, bool one_target_a_row);

}  // namespace chorale
