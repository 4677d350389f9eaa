// Time-major inside: the input's part of the gates is one product over all times, the recurrent part one for each, and the gradients of the
// weights are one product again.
#include <chorale/core/autograd/recurrent_ops.hpp>

namespace chorale {

namespace {

/// [outer, inner, C] to [inner, outer, C].
Tensor swapped(const Tensor& x) {
  const Shape& s = x.shape();
  Tensor y = Tensor::empty(x.device(), {s[1], s[0], s[2]}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    x.device().typed<T>().swap_rows({.x = x.data<T>(), .y = y.data<T>(), .outer = s[0], .inner = s[1], .cols = s[2]});
  });
  return y;
}

RecurrentExtents extents_of(std::int64_t gates, const Variable& x, const RecurrentWeights& w) {
  const Shape &s = x.shape(), &ih = w.w_ih.shape(), &hh = w.w_hh.shape();
  const bool fits = s.rank() == 3 && ih.rank() == 2 && hh.rank() == 2 && s[2] == ih[1] && hh[0] == gates * hh[1] && ih[0] == hh[0] &&
                    w.b_ih.shape() == Shape{hh[0]} && w.b_hh.shape() == Shape{hh[0]} && x.dtype() == w.w_ih.dtype();
  if (!fits)
    throw ShapeError("[recurrent] expected x [B, T, " + (ih.rank() == 2 ? std::to_string(ih[1]) : "?") + "] of the weights' type, got " +
                     s.text() + "; weights " + ih.text() + " and " + hh.text());
  return {.time = s[1], .batch = s[0], .hidden = hh[1]};
}

template <class T>
void product(Device& device, const Gemm<T>& p) {
  if (p.m && p.n && p.k)
    device.gemm(p);
  else if (!p.accumulate)
    device.clear(p.c, static_cast<std::size_t>(p.m * p.n) * sizeof(T));
}

/// What the input gives to the gates, [T, B, G, H]; an lstm's two biases are one.
Tensor input_part(const Tensor& x, const RecurrentWeights& w, const RecurrentExtents& e, bool has_one_bias) {
  Device& device = x.device();
  const std::int64_t out = w.w_ih.shape()[0];
  Tensor gates = Tensor::empty(device, {e.time * e.batch, out}, x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    const T* bias = w.b_ih.value().data<T>();
    const Tensor sum = Tensor::empty(device, {out}, x.dtype());
    if (has_one_bias) {
      device.typed<T>().add(bias, w.b_hh.value().data<T>(), sum.data<T>(), out);
      bias = sum.data<T>();
    }
    product<T>(device, {.a = x.data<T>(),
                        .b = w.w_ih.value().data<T>(),
                        .c = gates.data<T>(),
                        .m = e.time * e.batch,
                        .n = out,
                        .k = w.w_ih.shape()[1],
                        .b_transposed = true,
                        .bias = bias});
  });
  return gates;
}

/// What backward needs.
struct Kept {
  RecurrentExtents e;
  std::int64_t gates;
  Tensor x, w_ih, w_hh, values, h, kept, bias;  // x, values (of the gates), h and kept: time-major
};

template <class T>
void weight_gradients(const Kept& k, const Tensor& dgates, const Tensor& dhidden, Node* w_ih, Node* w_hh, Node* b_ih, Node* b_hh) {
  Device& device = k.x.device();
  const std::int64_t out = k.gates * k.e.hidden, rows = k.e.time * k.e.batch, step = k.e.batch * k.e.hidden;
  const auto sums = [&](Node* node, const Tensor& of) {
    if (!node) return;
    const GradientTarget to = node->target(k.bias);
    device.typed<T>().column_sums(of.data<T>(), to.memory.data<T>(), rows, out, to.accumulate);
  };
  sums(b_ih, dgates);
  sums(b_hh, dhidden);
  if (w_ih) {
    const GradientTarget to = w_ih->target(k.w_ih);
    product<T>(device, {.a = dgates.data<T>(),
                        .b = k.x.data<T>(),
                        .c = to.memory.data<T>(),
                        .m = out,
                        .n = k.w_ih.shape()[1],
                        .k = rows,
                        .a_transposed = true,
                        .accumulate = to.accumulate});
  }
  if (w_hh) {  // the state in front of the first time is 0
    const GradientTarget to = w_hh->target(k.w_hh);
    product<T>(device, {.a = dhidden.data<T>() + k.gates * step,
                        .b = k.h.data<T>(),
                        .c = to.memory.data<T>(),
                        .m = out,
                        .n = k.e.hidden,
                        .k = rows - k.e.batch,
                        .a_transposed = true,
                        .accumulate = to.accumulate});
  }
}

template <class T>
Tensor input_gradient(const Kept& k, const Tensor& dgates) {
  Tensor dx = Tensor::empty(k.x.device(), k.x.shape(), k.x.dtype());
  product<T>(k.x.device(), {.a = dgates.data<T>(),
                            .b = k.w_ih.data<T>(),
                            .c = dx.data<T>(),
                            .m = k.e.time * k.e.batch,
                            .n = k.w_ih.shape()[1],
                            .k = k.gates * k.e.hidden});
  return dx;
}

Variable recurrent(bool is_lstm, const Variable& x, const RecurrentWeights& w) {
  const std::int64_t gates = is_lstm ? 4 : 3;
  const RecurrentExtents e = extents_of(gates, x, w);
  Device& device = x.value().device();
  const DType dtype = x.dtype();
  Kept k{e, gates, swapped(x.value()), w.w_ih.value(), w.w_hh.value(), {}, {}, {}, w.b_ih.value()};
  k.values = input_part(k.x, w, e, is_lstm);
  k.h = Tensor::empty(device, {e.time, e.batch, e.hidden}, dtype);
  k.kept = Tensor::empty(device, {e.time, e.batch, e.hidden}, dtype);
  with_float_type(dtype, [&]<class T>() {
    const Tensor scratch = Tensor::empty(device, {recurrent_scratch(gates, e)}, dtype);
    const TypedKernels<T>& kernels = device.typed<T>();
    (is_lstm ? kernels.lstm : kernels.gru)({.e = e,
                                            .gates = k.values.data<T>(),
                                            .w = k.w_hh.data<T>(),
                                            .hidden_bias = is_lstm ? nullptr : w.b_hh.value().data<T>(),
                                            .h = k.h.data<T>(),
                                            .kept = k.kept.data<T>(),
                                            .scratch = scratch.data<T>()});
  });
  Node *xn = x.node().get(), *w_ih = w.w_ih.node().get(), *w_hh = w.w_hh.node().get(), *b_ih = w.b_ih.node().get(),
       *b_hh = w.b_hh.node().get();
  Tensor y = swapped(k.h);
  return make_result(std::move(y), {x.node(), w.w_ih.node(), w.w_hh.node(), w.b_ih.node(), w.b_hh.node()},
                     [xn, w_ih, w_hh, b_ih, b_hh, k, is_lstm](Tensor dy) {
                       with_float_type(dy.dtype(), [&]<class T>() {
                         const Tensor by_time = swapped(dy),
                                      scratch = Tensor::empty(dy.device(), {recurrent_scratch(k.gates, k.e)}, dy.dtype());
                         const Tensor dgates = Tensor::empty(dy.device(), k.values.shape(), dy.dtype());
                         const Tensor dhidden = is_lstm ? dgates : Tensor::empty(dy.device(), k.values.shape(), dy.dtype());
                         const TypedKernels<T>& kernels = dy.device().typed<T>();
                         (is_lstm ? kernels.lstm_gradient : kernels.gru_gradient)({.e = k.e,
                                                                                   .gates = k.values.data<T>(),
                                                                                   .w = k.w_hh.data<T>(),
                                                                                   .h = k.h.data<T>(),
                                                                                   .kept = k.kept.data<T>(),
                                                                                   .dy = by_time.data<T>(),
                                                                                   .dgates = dgates.data<T>(),
                                                                                   .dhidden = is_lstm ? nullptr : dhidden.data<T>(),
                                                                                   .scratch = scratch.data<T>()});
                         weight_gradients<T>(k, dgates, dhidden, w_ih, w_hh, b_ih, b_hh);
                         if (xn) xn->adopt(swapped(input_gradient<T>(k, dgates)));
                       });
                     });
}

}  // namespace

Variable lstm(const Variable& x, const RecurrentWeights& weights) { return recurrent(true, x, weights); }
Variable gru(const Variable& x, const RecurrentWeights& weights) { return recurrent(false, x, weights); }

Variable last_time(const Variable& x) {
  const Shape& s = x.shape();
  if (s.rank() != 3 || s[1] < 1) throw ShapeError("[last] expected x [B, T, C], got " + s.text());
  const std::size_t bytes = static_cast<std::size_t>(s[2]) * size_bytes(x.dtype());
  const auto at = [time = s[1], bytes](const Tensor& t, std::int64_t row) {
    return static_cast<std::byte*>(t.raw()) + static_cast<std::size_t>((row + 1) * time - 1) * bytes;
  };
  Tensor y = Tensor::empty(x.value().device(), {s[0], s[2]}, x.dtype());
  for (std::int64_t b = 0; b < s[0]; ++b)
    y.device().copy(static_cast<std::byte*>(y.raw()) + static_cast<std::size_t>(b) * bytes, at(x.value(), b), bytes);
  Node* node = x.node().get();
  return make_result(std::move(y), {x.node()}, [node, at, bytes, s](Tensor dy) {
    Tensor dx = Tensor::zeros(dy.device(), s, dy.dtype());
    for (std::int64_t b = 0; b < s[0]; ++b)
      dy.device().copy(at(dx, b), static_cast<const std::byte*>(dy.raw()) + static_cast<std::size_t>(b) * bytes, bytes);
    node->adopt(std::move(dx));
  });
}

}  // namespace chorale
