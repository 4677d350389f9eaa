#include <chorale/core/autograd/channel_norm.hpp>

#include <vector>

namespace chorale {

namespace {

std::int64_t channels_of(const Tensor& x) { return x.shape().rank() ? x.shape()[-1] : 0; }

std::int64_t rows_of(const Tensor& x) { return channels_of(x) ? x.elements() / channels_of(x) : 0; }

template <class T>
T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

void check(const Variable& x, const Moments& moments, const Variable& gamma, const Variable& beta, const Variable& addend) {
  const std::int64_t channels = channels_of(x.value());
  if (channels < 1) throw ShapeError("[channel_normalise] expected x [..., C], got " + x.shape().text());
  for (const Tensor* t : {&moments.mean, &moments.variance, &gamma.value(), &beta.value()})
    if (t->defined() && (t->elements() != channels || t->dtype() != x.dtype()))
      throw ShapeError("[channel_normalise] expected [" + std::to_string(channels) + "] of x's type for each channel's numbers, got " +
                       t->shape().text());
  if (addend.value().defined() && (addend.shape() != x.shape() || addend.dtype() != x.dtype()))
    throw ShapeError("[channel_normalise] cannot add " + addend.shape().text() + " to " + x.shape().text());
}

/// Adds or writes sums [channels] where a parameter's gradient belongs.
void give(Node* node, const Tensor& like, const double* sums) {
  if (!node) return;
  const GradientTarget target = node->target(like);
  with_float_type(like.dtype(), [&]<class T>() {
    T* to = target.memory.data<T>();
    for (std::int64_t c = 0; c < like.elements(); ++c) to[c] = static_cast<T>(sums[c]) + (target.accumulate ? to[c] : T(0));
  });
}

}  // namespace

Moments channel_moments(const Tensor& x) {
  const std::int64_t channels = channels_of(x), rows = rows_of(x);
  Moments out{Tensor::empty(x.device(), {channels}, x.dtype()), Tensor::empty(x.device(), {channels}, x.dtype()),
              static_cast<double>(rows)};
  with_float_type(x.dtype(), [&]<class T>() {
    x.device().typed<T>().channel_moments(
        {.x = x.data<T>(), .rows = rows, .channels = channels, .mean = out.mean.data<T>(), .variance = out.variance.data<T>()});
  });
  return out;
}

Variable channel_normalise(const Variable& x, const Moments& moments, const Variable& gamma, const Variable& beta, const Variable& addend,
                           const ChannelNormOptions& options) {
  check(x, moments, gamma, beta, addend);
  Device& device = x.value().device();
  const std::int64_t channels = channels_of(x.value()), rows = rows_of(x.value());
  Tensor y = Tensor::empty(device, x.shape(), x.dtype());
  with_float_type(x.dtype(), [&]<class T>() {
    device.typed<T>().channel_norm({.x = x.value().data<T>(),
                                    .rows = rows,
                                    .channels = channels,
                                    .mean = moments.mean.data<T>(),
                                    .variance = moments.variance.data<T>(),
                                    .gamma = data_or_null<T>(gamma.value()),
                                    .beta = data_or_null<T>(beta.value()),
                                    .addend = data_or_null<T>(addend.value()),
                                    .y = y.data<T>(),
                                    .eps = options.eps,
                                    .has_relu = options.has_relu});
  });
  Node *xn = x.node().get(), *gn = gamma.node().get(), *bn = beta.node().get(), *an = addend.node().get();
  const Tensor result = options.has_relu ? y : Tensor();
  return make_result(
      std::move(y), {x.node(), gamma.node(), beta.node(), addend.node()},
      [xn, gn, bn, an, rows, channels, result, moments, options, x = x.value(), gamma = gamma.value(), beta = beta.value()](Tensor dy) {
        std::vector<double> sums(static_cast<std::size_t>(2 * channels));
        with_float_type(dy.dtype(), [&]<class T>() {
          const auto& kernels = dy.device().typed<T>();
          kernels.channel_norm_sums({.x = x.data<T>(),
                                     .rows = rows,
                                     .channels = channels,
                                     .mean = moments.mean.data<T>(),
                                     .variance = moments.variance.data<T>(),
                                     .y = data_or_null<T>(result),
                                     .dy = dy.data<T>(),
                                     .sums = sums.data(),
                                     .eps = options.eps});
          give(bn, beta, sums.data());
          give(gn, gamma, sums.data() + channels);
          if (options.merge && moments.count > 0) options.merge(sums);
          if (!xn) return;
          Tensor dx = an ? Tensor::empty(dy.device(), dy.shape(), dy.dtype()) : dy;
          kernels.channel_norm_gradient({.x = x.data<T>(),
                                         .rows = rows,
                                         .channels = channels,
                                         .mean = moments.mean.data<T>(),
                                         .variance = moments.variance.data<T>(),
                                         .gamma = data_or_null<T>(gamma),
                                         .sums = sums.data(),
                                         .dy = dy.data<T>(),
                                         .dx = dx.data<T>(),
                                         .eps = options.eps,
                                         .count = moments.count});
          xn->adopt(std::move(dx));
        });
        if (an) an->adopt(std::move(dy));
      });
}

}  // namespace chorale
