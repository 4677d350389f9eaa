// Normalisation over groups of channels: layer, group and root-mean-square normalisation.
#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {
void check_scale(const char* what, const Variable& v, std::int64_t channels, DType dtype) {
  if (!v.value().defined()) return;
  if (v.shape() != Shape{channels} || v.dtype() != dtype)
    throw ShapeError(std::string("[normalise] expected ") + what + " [" + std::to_string(channels) + "] of x's type, got " +
                     v.shape().text());
}
}  // namespace

Variable normalise(const Variable& x, const Variable& gamma, const Variable& beta, const NormOptions& options) {
  const Shape& shape = x.shape();
  const std::int64_t channels = shape.rank() ? shape[-1] : 0;
  if (channels < 1 || options.groups < 1 || channels % options.groups)
    throw ShapeError("[normalise] expected x [..., C] with C a multiple of " + std::to_string(options.groups) + ", got " + shape.text());
  check_scale("gamma", gamma, channels, x.dtype());
  check_scale("beta", beta, channels, x.dtype());
  const std::int64_t rows = options.over_places ? x.value().rows() : x.value().elements() / channels;
  const NormExtents e{.rows = rows,
                      .places = rows ? x.value().elements() / channels / rows : 0,
                      .channels = channels,
                      .groups = options.groups,
                      .is_centred = options.is_centred,
                      .eps = options.eps};
  Device& device = x.value().device();
  Tensor y = Tensor::empty(device, shape, x.dtype()), stats = Tensor::empty(device, {rows, options.groups, 2}, x.dtype());
  const auto data = []<class T>(const Tensor& t) -> const T* { return t.defined() ? t.data<T>() : nullptr; };
  with_float_type(x.dtype(), [&]<class T>() {
    device.typed<T>().norm({.e = e,
                            .x = x.value().data<T>(),
                            .gamma = data.template operator()<T>(gamma.value()),
                            .beta = data.template operator()<T>(beta.value()),
                            .y = y.data<T>(),
                            .stats = stats.data<T>()});
  });
  Node *xn = x.node().get(), *gn = gamma.node().get(), *bn = beta.node().get();
  return make_result(std::move(y), {x.node(), gamma.node(), beta.node()},
                     [xn, gn, bn, e, data, stats, x = x.value(), gamma = gamma.value(), beta = beta.value()](Tensor dy) {
                       with_float_type(dy.dtype(), [&]<class T>() {
                         GradientTarget dg, db;
                         if (gn) dg = gn->target(gamma);
                         if (bn) db = bn->target(beta);
                         dy.device().typed<T>().norm_gradient({.e = e,
                                                               .x = x.data<T>(),
                                                               .gamma = data.template operator()<T>(gamma),
                                                               .stats = stats.data<T>(),
                                                               .dy = dy.data<T>(),
                                                               .dx = dy.data<T>(),
                                                               .dgamma = gn ? dg.memory.data<T>() : nullptr,
                                                               .dbeta = bn ? db.memory.data<T>() : nullptr,
                                                               .accumulate_gamma = dg.accumulate,
                                                               .accumulate_beta = db.accumulate});
                       });
                       if (xn) xn->adopt(std::move(dy));
                     });
}

}  // namespace chorale
