// Convolution. Source of the gradients: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.
#include <chorale/core/autograd/image_ops.hpp>

namespace chorale {

std::int64_t window_count(std::int64_t n, std::int64_t window, std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
  const std::int64_t reach = dilation * (window - 1) + 1;
  if (n + 2 * padding < reach)
    throw ShapeError("a window over " + std::to_string(reach) + " values does not fit into " + std::to_string(n) + " with padding " +
                     std::to_string(padding));
  return (n + 2 * padding - reach) / stride + 1;
}

namespace {

void check_convolution(const Variable& x, const Variable& w, const Variable& b, const ConvOptions& o) {
  const bool fits = x.shape().rank() == 4 && w.shape().rank() == 4 && x.shape()[3] == w.shape()[1] * o.groups &&
                    w.shape()[0] % o.groups == 0 && w.shape()[2] == o.kernel.h && w.shape()[3] == o.kernel.w;
  if (!fits)
    throw ShapeError("[convolution] x " + x.shape().text() + " and w " + w.shape().text() + " with " + std::to_string(o.groups) +
                     " groups do not fit; expected x [B, H, W, C] and w [O, C / groups, kernel]");
  if (b.value().defined() && b.shape() != Shape{w.shape()[0]})
    throw ShapeError("[convolution] expected bias [" + std::to_string(w.shape()[0]) + "], got " + b.shape().text());
  if (x.dtype() != w.dtype())
    throw ShapeError("[convolution] x is " + std::string(name(x.dtype())) + ", the weights are " + std::string(name(w.dtype())));
}

ConvExtents conv_extents(const Shape& x, const Shape& w, const ConvOptions& o) {
  return {.images = x[0],
          .height = x[1],
          .width = x[2],
          .in = x[3],
          .out_height = window_count(x[1], o.kernel.h, o.stride.h, o.padding.h, o.dilation.h),
          .out_width = window_count(x[2], o.kernel.w, o.stride.w, o.padding.w, o.dilation.w),
          .out = w[0],
          .kernel_h = o.kernel.h,
          .kernel_w = o.kernel.w,
          .stride_h = o.stride.h,
          .stride_w = o.stride.w,
          .pad_h = o.padding.h,
          .pad_w = o.padding.w,
          .dilation_h = o.dilation.h,
          .dilation_w = o.dilation.w,
          .groups = o.groups};
}

template <class T>
void weight_gradients(const ConvExtents& e, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& dy, Node* w_node,
                      Node* b_node) {
  if (!w_node) {  // a frozen weight beside a bias that learns
    const GradientTarget db = b_node->target(b);
    return dy.device().typed<T>().column_sums(dy.data<T>(), db.memory.data<T>(), e.images * e.out_height * e.out_width, e.out,
                                              db.accumulate);
  }
  const GradientTarget dw = w_node->target(w);
  GradientTarget db;
  if (b_node) db = b_node->target(b);
  if (e.images == 0) {
    if (!dw.accumulate) dy.device().clear(dw.memory.raw(), dw.memory.bytes());
    if (b_node && !db.accumulate) dy.device().clear(db.memory.raw(), db.memory.bytes());
    return;
  }
  const bool together = b_node && db.accumulate == dw.accumulate;
  dy.device().convolve(ConvolutionWeightGradient<T>{.e = e,
                                                    .x = x.data<T>(),
                                                    .dy = dy.data<T>(),
                                                    .dw = dw.memory.data<T>(),
                                                    .db = together ? db.memory.data<T>() : nullptr,
                                                    .accumulate = dw.accumulate});
  if (b_node && !together)
    dy.device().typed<T>().column_sums(dy.data<T>(), db.memory.data<T>(), e.images * e.out_height * e.out_width, e.out, db.accumulate);
}

}  // namespace

Variable convolution(const Variable& x, const Variable& w, const Variable& b, const ConvOptions& options) {
  check_convolution(x, w, b, options);
  const ConvExtents e = conv_extents(x.shape(), w.shape(), options);
  Tensor y = Tensor::empty(x.value().device(), {e.images, e.out_height, e.out_width, e.out}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    if (e.images > 0)
      y.device().convolve(Convolution<T>{.e = e,
                                         .x = x.value().data<T>(),
                                         .w = w.value().data<T>(),
                                         .bias = b.value().defined() ? b.value().data<T>() : nullptr,
                                         .y = y.data<T>()});
  });
  Node *xn = x.node().get(), *wn = w.node().get(), *bn = b.node().get();
  return make_result(std::move(y), {x.node(), w.node(), b.node()}, [xn, wn, bn, e, x = x.value(), w = w.value(), b = b.value()](Tensor dy) {
    with_float_type(dy.dtype(), [&]<class T>() {
      if (wn || bn) weight_gradients<T>(e, x, w, b, dy, wn, bn);
      if (!xn) return;
      Tensor dx = Tensor::empty(dy.device(), x.shape(), x.dtype());
      if (e.images > 0) dy.device().convolve(ConvolutionDataGradient<T>{.e = e, .dy = dy.data<T>(), .w = w.data<T>(), .dx = dx.data<T>()});
      xn->adopt(std::move(dx));
    });
  });
}

}  // namespace chorale
