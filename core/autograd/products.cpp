// Matrix products: linear and matmul.
#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

template <class T>
void product(const Tensor& a, const Tensor& b, const Tensor& c, const Gemm<T>& shape) {
  Gemm<T> p = shape;
  p.a = a.data<T>(), p.b = b.data<T>(), p.c = c.data<T>();
  if (p.m && p.n && p.k)
    a.device().gemm(p);
  else if (!p.accumulate)
    c.device().clear(c.raw(), c.bytes());
}

void check_linear(const Variable& x, const Variable& w, const Variable& b) {
  const bool fits = w.shape().rank() == 2 && x.shape().rank() >= 1 && x.shape()[-1] == w.shape()[1];
  if (!fits)
    throw ShapeError("[linear] expected x [*, " + (w.shape().rank() == 2 ? std::to_string(w.shape()[1]) : "?") + "], got " +
                     x.shape().text() + (x.shape().rank() > 2 ? "; flatten first" : ""));
  if (b.value().defined() && b.shape() != Shape{w.shape()[0]})
    throw ShapeError("[linear] expected bias [" + std::to_string(w.shape()[0]) + "], got " + b.shape().text());
  if (x.dtype() != w.dtype())
    throw ShapeError("[linear] x is " + std::string(name(x.dtype())) + ", the weights are " + std::string(name(w.dtype())));
}

std::int64_t rows_of(const Variable& x, const Variable& w) {
  const std::int64_t in = w.shape()[1];
  return in ? x.value().elements() / in : x.value().rows();
}

Tensor empty_result(const Variable& x, const Variable& w) {
  Shape shape = x.shape();
  shape[-1] = w.shape()[0];
  return Tensor::empty(x.value().device(), shape, x.dtype());
}

template <class T>
void forward_product(const Variable& x, const Variable& w, const Variable& b, const Tensor& y, bool accumulate) {
  product<T>(x.value(), w.value(), y,
             {.a = {},
              .b = {},
              .c = {},
              .m = rows_of(x, w),
              .n = w.shape()[0],
              .k = w.shape()[1],
              .b_transposed = true,
              .accumulate = accumulate,
              .bias = b.value().defined() ? b.value().data<T>() : nullptr});
}

template <class T>
void linear_backward(const Tensor& x, const Tensor& w, const Tensor& dy, std::int64_t rows, Node* x_node, Node* w_node, Node* b_node,
                     const Tensor& b) {
  const std::int64_t out = w.shape()[0], in = w.shape()[1];
  if (b_node) {
    GradientTarget db = b_node->target(b);
    dy.device().typed<T>().column_sums(dy.data<T>(), db.memory.data<T>(), rows, out, db.accumulate);
  }
  if (w_node) {
    GradientTarget dw = w_node->target(w);
    product<T>(dy, x, dw.memory,
               {.a = {}, .b = {}, .c = {}, .m = out, .n = in, .k = rows, .a_transposed = true, .accumulate = dw.accumulate});
  }
  if (x_node) {
    GradientTarget dx = x_node->target(x);
    product<T>(dy, w, dx.memory, {.a = {}, .b = {}, .c = {}, .m = rows, .n = in, .k = out, .accumulate = dx.accumulate});
  }
}

}  // namespace

Variable linear(const Variable& x, const Variable& w, const Variable& b) {
  check_linear(x, w, b);
  const std::int64_t rows = rows_of(x, w);
  Tensor y = empty_result(x, w);
  with_float_type(x.dtype(), [&]<class T>() { forward_product<T>(x, w, b, y, false); });
  Node *xn = x.node().get(), *wn = w.node().get(), *bn = b.node().get();  // kept alive by the inputs
  return make_result(std::move(y), {x.node(), w.node(), b.node()},
                     [xn, wn, bn, rows, x = x.value(), w = w.value(), b = b.value()](Tensor dy) {
                       with_float_type(dy.dtype(), [&]<class T>() { linear_backward<T>(x, w, dy, rows, xn, wn, bn, b); });
                     });
}

Variable linear_sum(LinearTerm first, const Variable& b, LinearTerm second) {
  const auto& [x, w] = first;
  const auto& [x2, w2] = second;
  check_linear(x, w, b);
  check_linear(x2, w2, {});
  const std::int64_t rows = rows_of(x, w);
  if (rows_of(x2, w2) != rows || w2.shape()[0] != w.shape()[0] || x2.dtype() != x.dtype())
    throw ShapeError("[linear_sum] " + x.shape().text() + " by " + w.shape().text() + " and " + x2.shape().text() + " by " +
                     w2.shape().text() + " give no equal shapes of one type");
  Tensor y = empty_result(x, w);
  with_float_type(x.dtype(), [&]<class T>() {
    forward_product<T>(x, w, b, y, false);
    forward_product<T>(x2, w2, {}, y, true);
  });
  Node *xn = x.node().get(), *wn = w.node().get(), *bn = b.node().get(), *x2n = x2.node().get(), *w2n = w2.node().get();
  return make_result(std::move(y), {x.node(), w.node(), b.node(), x2.node(), w2.node()},
                     [=, x = x.value(), w = w.value(), b = b.value(), x2 = x2.value(), w2 = w2.value()](Tensor dy) {
                       with_float_type(dy.dtype(), [&]<class T>() {
                         linear_backward<T>(x2, w2, dy, rows, x2n, w2n, nullptr, {});
                         linear_backward<T>(x, w, dy, rows, xn, wn, bn, b);
                       });
                     });
}

Variable matmul(const Variable& a, const Variable& b) {
  if (a.shape().rank() != 2 || b.shape().rank() != 2 || a.shape()[1] != b.shape()[0] || a.dtype() != b.dtype())
    throw ShapeError("[matmul] " + a.shape().text() + " times " + b.shape().text() +
                     " does not fit; expected [M, K] and [K, N] of one type");
  const std::int64_t m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  Tensor c = Tensor::empty(a.value().device(), {m, n}, a.dtype());
  with_float_type(a.dtype(), [&]<class T>() { product<T>(a.value(), b.value(), c, {.a = {}, .b = {}, .c = {}, .m = m, .n = n, .k = k}); });
  Node *an = a.node().get(), *bn = b.node().get();
  return make_result(std::move(c), {a.node(), b.node()}, [an, bn, m, n, k, a = a.value(), b = b.value()](Tensor dc) {
    with_float_type(dc.dtype(), [&]<class T>() {
      if (an) {
        GradientTarget da = an->target(a);
        product<T>(dc, b, da.memory,
                   {.a = {}, .b = {}, .c = {}, .m = m, .n = k, .k = n, .b_transposed = true, .accumulate = da.accumulate});
      }
      if (bn) {
        GradientTarget db = bn->target(b);
        product<T>(a, dc, db.memory,
                   {.a = {}, .b = {}, .c = {}, .m = k, .n = n, .k = m, .a_transposed = true, .accumulate = db.accumulate});
      }
    });
  });
}

}  // namespace chorale
