// Element-wise operations, softmax, sums, dropout, reshape.
#include <chorale/core/autograd/ops.hpp>

namespace chorale {

Variable map(Unary f, const Variable& x, double a, double b) {
  Tensor y = Tensor::empty(x.value().device(), x.shape(), x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    y.device().typed<T>().unary(f, {.x = x.value().data<T>(), .y = y.data<T>(), .n = y.elements(), .a = T(a), .b = T(b)});
  });
  Node* xn = x.node().get();
  Tensor result = y;
  return make_result(std::move(result), {x.node()}, [xn, f, a, b, x = x.value(), y = std::move(y)](Tensor dy) {
    with_float_type(dy.dtype(), [&]<class T>() {  // in place: dy is not needed again
      dy.device().typed<T>().unary_gradient(
          f, {.x = x.data<T>(), .y = y.data<T>(), .dy = dy.data<T>(), .dx = dy.data<T>(), .n = dy.elements(), .a = T(a), .b = T(b)});
    });
    xn->adopt(std::move(dy));
  });
}

namespace {
Tensor combined(Binary f, const Tensor& a, const Tensor& b) {
  Tensor c = Tensor::empty(a.device(), a.shape(), a.dtype());
  with_float_type(a.dtype(), [&]<class T>() { c.device().typed<T>().binary(f, a.data<T>(), b.data<T>(), c.data<T>(), c.elements()); });
  return c;
}

Tensor scaled(const Tensor& x, double a) {
  Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    y.device().typed<T>().unary(Unary::affine, {.x = x.data<T>(), .y = y.data<T>(), .n = y.elements(), .a = T(a), .b = T(0)});
  });
  return y;
}
}  // namespace

Variable combine(Binary f, const Variable& a, const Variable& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype())
    throw ShapeError("[element-wise] " + a.shape().text() + " and " + b.shape().text() +
                     " differ in shape or type; reshape or broadcast first");
  Node *an = a.node().get(), *bn = b.node().get();
  Tensor c = combined(f, a.value(), b.value());
  return make_result(c, {a.node(), b.node()}, [an, bn, f, a = a.value(), b = b.value(), c](Tensor dc) {
    switch (f) {
      case Binary::add:
      case Binary::subtract:
        if (bn) bn->adopt(scaled(dc, f == Binary::add ? 1 : -1));
        if (an) an->adopt(std::move(dc));
        return;
      case Binary::multiply:
        if (an) an->adopt(combined(Binary::multiply, dc, b));
        if (bn) bn->adopt(combined(Binary::multiply, dc, a));
        return;
      case Binary::divide:  // d(a/b)/db = -(a/b)/b
        if (bn) bn->adopt(scaled(combined(Binary::divide, combined(Binary::multiply, dc, c), b), -1));
        if (an) an->adopt(combined(Binary::divide, dc, b));
        return;
    }
  });
}

Variable softmax(const Variable& x) {
  if (x.shape().rank() < 1) throw ShapeError("[softmax] expected x [..., C], got " + x.shape().text());
  Tensor y = Tensor::empty(x.value().device(), x.shape(), x.dtype());
  const std::int64_t cols = x.shape()[-1], rows = cols ? y.elements() / cols : 0;
  with_float_type(x.dtype(), [&]<class T>() {
    y.device().typed<T>().softmax({.x = x.value().data<T>(), .y = y.data<T>(), .rows = rows, .cols = cols});
  });
  Node* xn = x.node().get();
  return make_result(y, {x.node()}, [xn, rows, cols, y](Tensor dy) {
    with_float_type(dy.dtype(), [&]<class T>() {
      Tensor dx = Tensor::empty(dy.device(), dy.shape(), dy.dtype());
      dy.device().typed<T>().softmax_gradient({.y = y.data<T>(), .dy = dy.data<T>(), .dx = dx.data<T>(), .rows = rows, .cols = cols});
      xn->adopt(std::move(dx));
    });
  });
}

Variable sum(const Variable& x) {
  Tensor y = Tensor::empty(x.value().device(), Shape{}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() { *y.data<T>() = T(y.device().typed<T>().sum(x.value().data<T>(), x.value().elements())); });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, x = x.value()](Tensor dy) {
    Tensor dx = Tensor::empty(x.device(), x.shape(), x.dtype());
    with_float_type(x.dtype(), [&]<class T>() { dx.device().typed<T>().fill(dx.data<T>(), *dy.data<T>(), dx.elements()); });
    xn->adopt(std::move(dx));
  });
}

Variable row_sums(const Variable& x) {
  const std::int64_t rows = x.value().rows(), cols = x.value().row_elements();
  Tensor y = Tensor::empty(x.value().device(), {rows}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    for (std::int64_t r = 0; r < rows; ++r) y.data<T>()[r] = T(y.device().typed<T>().sum(x.value().data<T>() + r * cols, cols));
  });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, rows, cols, x = x.value()](Tensor dy) {
    Tensor dx = Tensor::empty(x.device(), x.shape(), x.dtype());
    with_float_type(x.dtype(), [&]<class T>() {
      for (std::int64_t r = 0; r < rows; ++r) dx.device().typed<T>().fill(dx.data<T>() + r * cols, dy.data<T>()[r], cols);
    });
    xn->adopt(std::move(dx));
  });
}

Variable reshape(const Variable& x, const Shape& shape) {
  Node* xn = x.node().get();
  return make_result(x.value().reshape(shape), {x.node()}, [xn, old = x.shape()](Tensor dy) { xn->adopt(dy.reshape(old)); });
}

Variable dropout(const Variable& x, double p, DropoutKey key) {
  Tensor y = Tensor::empty(x.value().device(), x.shape(), x.dtype());
  const auto run = [p, key]<class T>(const T* from, T* to, const Tensor& t) {
    t.device().typed<T>().dropout({.x = from, .y = to, .n = t.elements(), .key = key.key, .first = key.first, .p = static_cast<float>(p)});
  };
  with_float_type(x.dtype(), [&]<class T>() { run(static_cast<const T*>(x.value().data<T>()), y.data<T>(), y); });
  Node* xn = x.node().get();
  return make_result(std::move(y), {x.node()}, [xn, run](Tensor dy) {  // the mask is drawn again: no memory for it
    with_float_type(dy.dtype(), [&]<class T>() { run(static_cast<const T*>(nullptr), dy.data<T>(), dy); });
    xn->adopt(std::move(dy));
  });
}

}  // namespace chorale
