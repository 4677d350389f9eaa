#include <chorale/core/nn/batch_norm.hpp>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

BatchNorm::BatchNorm(std::int64_t channels, const Options& options)
    : channels_(channels),
      options_(options),
      weight_(options.is_affine ? &add_parameter("weight", {channels}, {Init::Role::ones}) : nullptr),
      bias_(options.is_affine ? &add_parameter("bias", {channels}, {Init::Role::zeros}) : nullptr),
      statistics_(add_statistics(channels, {.momentum = options.momentum, .is_synchronised = options.is_synchronised})) {}

Variable BatchNorm::forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) {
  if (x.shape().rank() < 2 || x.shape()[-1] != channels_)
    throw ShapeError("[batch_norm] expected x [B, ..., " + std::to_string(channels_) + "], got " + x.shape().text());
  const bool is_shared = options_.is_synchronised && pass.training && pass.sum_over_ranks;
  Moments moments = statistics_.running();
  if (is_shared)
    moments = merged(channel_moments(x.value()), pass);
  else if (pass.training && x.value().elements() >= 2 * channels_)
    moments = channel_moments(x.value());
  if (moments.count >= 2)
    statistics_.stage(moments);
  else
    moments = statistics_.running();
  const auto use = [&](const Parameter* p) { return p ? p->use(pass.training) : Variable(); };
  ChannelNormOptions options{.eps = options_.eps, .has_relu = epilogue.has_relu};
  if (is_shared) options.merge = *pass.sum_over_ranks;
  return channel_normalise(x, moments, use(weight_), use(bias_), epilogue.addend, options);
}

Moments BatchNorm::merged(const Moments& own, const Pass& pass) const {
  const auto channels = static_cast<std::size_t>(channels_);
  Moments out = own;
  with_float_type(own.mean.dtype(), [&]<class T>() {
    T *mean = own.mean.data<T>(), *variance = own.variance.data<T>();
    std::vector<double> sums(channels + 1), squares(channels);
    for (std::size_t c = 0; c < channels; ++c) sums[c] = own.count > 0 ? own.count * static_cast<double>(mean[c]) : 0;
    sums[channels] = own.count;
    (*pass.sum_over_ranks)(sums);
    out.count = sums[channels];
    for (std::size_t c = 0; c < channels; ++c) {
      const double all = sums[c] / out.count, apart = static_cast<double>(mean[c]) - all;
      if (own.count > 0) squares[c] = own.count * (static_cast<double>(variance[c]) + apart * apart);
      mean[c] = static_cast<T>(all);
    }
    (*pass.sum_over_ranks)(squares);
    for (std::size_t c = 0; c < channels; ++c) variance[c] = static_cast<T>(squares[c] / out.count);
  });
  return out;
}

Shape BatchNorm::output_shape(const Shape& in) const {
  if (in.rank() < 1 || in[-1] != channels_)
    throw ShapeError("[batch_norm] expected rows [..., " + std::to_string(channels_) + "], got " + in.text());
  return in;
}

void register_batch_norm(Registry& registry) {
  registry.of<LayerEntry>().add(
      "batch_norm", {.help = "batch_norm(eps=1e-5, momentum=0.1, affine=true, sync=false): each channel of [..., C] over the rows of a "
                             "virtual worker, or of all ranks, and all places",
                     .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                       if (in.rank() < 1) throw ShapeError("[batch_norm] expected rows [..., C], got " + in.text());
                       const double eps = a.number(0, "eps", 1e-5, 0, 1), momentum = a.number(1, "momentum", 0.1, 0, 1);
                       const bool affine = a.flag("affine", true), sync = a.flag("sync", false);
                       return std::make_unique<BatchNorm>(
                           in[-1], BatchNorm::Options{.eps = eps, .momentum = momentum, .is_affine = affine, .is_synchronised = sync});
                     },
                     .sample = "batch_norm",
                     .sample_shape = {3, 4, 5}});
}

}  // namespace chorale
