// Pooling, and images in PyTorch's order.
#include <limits>

#include <chorale/core/autograd/image_ops.hpp>

namespace chorale {

namespace {

void check_image(const char* what, const Variable& x) {
  if (x.shape().rank() != 4) throw ShapeError(std::string("[") + what + "] expected x [B, H, W, C], got " + x.shape().text());
}

PoolExtents pool_extents(const char* what, const Shape& x, const PoolOptions& o) {
  if (2 * o.padding.h > o.window.h || 2 * o.padding.w > o.window.w)
    throw ShapeError(std::string("[") + what + "] padding is at most half of the window");
  return {.images = x[0],
          .height = x[1],
          .width = x[2],
          .channels = x[3],
          .out_height = window_count(x[1], o.window.h, o.stride.h, o.padding.h),
          .out_width = window_count(x[2], o.window.w, o.stride.w, o.padding.w),
          .window_h = o.window.h,
          .window_w = o.window.w,
          .stride_h = o.stride.h,
          .stride_w = o.stride.w,
          .pad_h = o.padding.h,
          .pad_w = o.padding.w,
          .is_adaptive = false,
          .counts_padding = false};
}

Shape result_shape(const PoolExtents& e) { return {e.images, e.out_height, e.out_width, e.channels}; }

Variable averaged(const Variable& x, const PoolExtents& e) {
  Tensor y = Tensor::empty(x.value().device(), result_shape(e), x.dtype());
  with_float_type(x.dtype(), [&]<class T>() { y.device().typed<T>().average_pool({.e = e, .x = x.value().data<T>(), .y = y.data<T>()}); });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, e](Tensor dy) {
    Tensor dx = Tensor::empty(dy.device(), {e.images, e.height, e.width, e.channels}, dy.dtype());
    with_float_type(dy.dtype(),
                    [&]<class T>() { dy.device().typed<T>().average_pool_gradient({.e = e, .dy = dy.data<T>(), .dx = dx.data<T>()}); });
    xn->adopt(std::move(dx));
  });
}

}  // namespace

Variable max_pool(const Variable& x, const PoolOptions& options) {
  check_image("max_pool", x);
  const PoolExtents e = pool_extents("max_pool", x.shape(), options);
  if (e.height * e.width > std::numeric_limits<std::int32_t>::max())
    throw ShapeError("[max_pool] an image of " + x.shape().text() + " has more than 2^31 places");
  Tensor y = Tensor::empty(x.value().device(), result_shape(e), x.dtype()), at;
  if (x.needs_gradient()) at = Tensor::empty(y.device(), y.shape(), DType::i32);
  with_float_type(x.dtype(), [&]<class T>() {
    y.device().typed<T>().max_pool(
        {.e = e, .x = x.value().data<T>(), .y = y.data<T>(), .at = at.defined() ? at.data<std::int32_t>() : nullptr});
  });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, e, at](Tensor dy) {
    Tensor dx = Tensor::empty(dy.device(), {e.images, e.height, e.width, e.channels}, dy.dtype());
    with_float_type(dy.dtype(), [&]<class T>() {
      dy.device().typed<T>().max_pool_gradient({.e = e, .dy = dy.data<T>(), .at = at.data<std::int32_t>(), .dx = dx.data<T>()});
    });
    xn->adopt(std::move(dx));
  });
}

Variable average_pool(const Variable& x, const PoolOptions& options, bool counts_padding) {
  check_image("average_pool", x);
  PoolExtents e = pool_extents("average_pool", x.shape(), options);
  e.counts_padding = counts_padding;
  return averaged(x, e);
}

Variable adaptive_average_pool(const Variable& x, Pair out) {
  check_image("adaptive_average_pool", x);
  const Shape& s = x.shape();
  if (out.h < 1 || out.w < 1 || s[1] < 1 || s[2] < 1)
    throw ShapeError("[adaptive_average_pool] " + s.text() + " has no " + std::to_string(out.h) + " by " + std::to_string(out.w) +
                     " windows");
  return averaged(x, {.images = s[0],
                      .height = s[1],
                      .width = s[2],
                      .channels = s[3],
                      .out_height = out.h,
                      .out_width = out.w,
                      .window_h = 0,
                      .window_w = 0,
                      .stride_h = 0,
                      .stride_w = 0,
                      .pad_h = 0,
                      .pad_w = 0,
                      .is_adaptive = true,
                      .counts_padding = false});
}

Variable channels_first(const Variable& x) {
  check_image("channels_first", x);
  const std::int64_t images = x.shape()[0], places = x.shape()[1] * x.shape()[2], channels = x.shape()[3];
  Tensor y = Tensor::empty(x.value().device(), {images, channels * places}, x.dtype());
  const auto turn = [images]<class T>(const T* from, T* to, std::int64_t rows, std::int64_t cols, const Tensor& t) {
    t.device().template typed<T>().transpose({.x = from, .y = to, .blocks = images, .rows = rows, .cols = cols});
  };
  with_float_type(x.dtype(), [&]<class T>() { turn(static_cast<const T*>(x.value().data<T>()), y.data<T>(), places, channels, y); });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, turn, places, channels, shape = x.shape()](Tensor dy) {
    Tensor dx = Tensor::empty(dy.device(), shape, dy.dtype());
    with_float_type(dy.dtype(), [&]<class T>() { turn(static_cast<const T*>(dy.data<T>()), dx.data<T>(), channels, places, dy); });
    xn->adopt(std::move(dx));
  });
}

}  // namespace chorale
