#include <chorale/core/nn/convolution.hpp>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

namespace {

void check_groups(std::int64_t in, std::int64_t out, std::int64_t groups) {
  if (in % groups || out % groups)
    throw UsageError("a convolution of " + std::to_string(in) + " to " + std::to_string(out) + " channels cannot have " +
                     std::to_string(groups) + " groups, which must divide both");
}

/// fan_in is what one result reads, fan_out what one input is read by.
Init weight_init(std::int64_t in, std::int64_t out, std::int64_t places, std::int64_t groups) {
  return {Init::Role::weight, in / groups * places, out / groups * places};
}

Init bias_init(std::int64_t in, std::int64_t out, std::int64_t places, std::int64_t groups) {
  return {Init::Role::bias, in / groups * places, out / groups * places};
}

std::string pair_text(Pair p) { return p.h == p.w ? std::to_string(p.h) : std::to_string(p.h) + "x" + std::to_string(p.w); }

}  // namespace

Conv2d::Conv2d(std::int64_t in, std::int64_t out, const ConvOptions& options, bool bias)
    : in_(in),
      out_(out),
      options_((check_groups(in, out, options.groups), options)),
      weight_(add_parameter("weight", {out, in / options.groups, options.kernel.h, options.kernel.w},
                            weight_init(in, out, options.kernel.h * options.kernel.w, options.groups))),
      bias_(bias ? &add_parameter("bias", {out}, bias_init(in, out, options.kernel.h * options.kernel.w, options.groups)) : nullptr) {}

Variable Conv2d::forward(const Variable& x, const Pass& pass) {
  return convolution(x, weight_.use(pass.training), bias_ ? bias_->use(pass.training) : Variable(), options_);
}

Shape Conv2d::output_shape(const Shape& in) const {
  if (in.rank() != 3 || in[2] != in_) throw ShapeError("[conv2d] expected images [H, W, " + std::to_string(in_) + "], got " + in.text());
  return {window_count(in[0], options_.kernel.h, options_.stride.h, options_.padding.h, options_.dilation.h),
          window_count(in[1], options_.kernel.w, options_.stride.w, options_.padding.w, options_.dilation.w), out_};
}

std::string Conv2d::name() const {
  std::string text = "conv2d(" + std::to_string(in_) + ", " + std::to_string(out_) + ", " + pair_text(options_.kernel);
  if (options_.stride.h != 1 || options_.stride.w != 1) text += ", stride=" + pair_text(options_.stride);
  if (options_.padding.h || options_.padding.w) text += ", padding=" + pair_text(options_.padding);
  if (options_.dilation.h != 1 || options_.dilation.w != 1) text += ", dilation=" + pair_text(options_.dilation);
  if (options_.groups != 1) text += ", groups=" + std::to_string(options_.groups);
  return text + (bias_ ? ")" : ", bias=false)");
}

Conv1d::Conv1d(std::int64_t in, std::int64_t out, const Options& options, bool bias)
    : in_(in),
      out_(out),
      options_((check_groups(in, out, options.groups), options)),
      weight_(add_parameter("weight", {out, in / options.groups, options.kernel}, weight_init(in, out, options.kernel, options.groups))),
      bias_(bias ? &add_parameter("bias", {out}, bias_init(in, out, options.kernel, options.groups)) : nullptr) {}

Variable Conv1d::forward(const Variable& x, const Pass& pass) {
  const Shape& s = x.shape();
  if (s.rank() != 3 || s[2] != in_) throw ShapeError("[conv1d] expected x [B, T, " + std::to_string(in_) + "], got " + s.text());
  const ConvOptions as_image{.kernel = {1, options_.kernel},
                             .stride = {1, options_.stride},
                             .padding = {0, options_.padding},
                             .dilation = {1, options_.dilation},
                             .groups = options_.groups};
  const Variable w = reshape(weight_.use(pass.training), {out_, in_ / options_.groups, 1, options_.kernel});
  const Variable y = convolution(reshape(x, {s[0], 1, s[1], s[2]}), w, bias_ ? bias_->use(pass.training) : Variable(), as_image);
  return reshape(y, {y.shape()[0], y.shape()[2], y.shape()[3]});
}

Shape Conv1d::output_shape(const Shape& in) const {
  if (in.rank() != 2 || in[1] != in_) throw ShapeError("[conv1d] expected sequences [T, " + std::to_string(in_) + "], got " + in.text());
  return {window_count(in[0], options_.kernel, options_.stride, options_.padding, options_.dilation), out_};
}

std::string Conv1d::name() const {
  std::string text = "conv1d(" + std::to_string(in_) + ", " + std::to_string(out_) + ", " + std::to_string(options_.kernel);
  if (options_.stride != 1) text += ", stride=" + std::to_string(options_.stride);
  if (options_.padding) text += ", padding=" + std::to_string(options_.padding);
  if (options_.dilation != 1) text += ", dilation=" + std::to_string(options_.dilation);
  if (options_.groups != 1) text += ", groups=" + std::to_string(options_.groups);
  return text + (bias_ ? ")" : ", bias=false)");
}

void register_convolution(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("conv2d",
             {.help = "conv2d(OUT, KERNEL, stride=1, padding=0, dilation=1, groups=1, bias=true): over images [H, W, C]; 3 or 3x5",
              .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                if (in.rank() != 3) throw ShapeError("[conv2d] expected images [H, W, C], got rows of " + in.text());
                const std::int64_t out = a.count(0, "out");
                const auto kernel = a.pair(1, "kernel", {}, 1), stride = a.pair(2, "stride", 1, 1), padding = a.pair(3, "padding", 0, 0),
                           dilation = a.pair(4, "dilation", 1, 1);
                const auto groups = a.pair(5, "groups", 1, 1);
                return std::make_unique<Conv2d>(in[2], out,
                                                ConvOptions{.kernel = {kernel[0], kernel[1]},
                                                            .stride = {stride[0], stride[1]},
                                                            .padding = {padding[0], padding[1]},
                                                            .dilation = {dilation[0], dilation[1]},
                                                            .groups = groups[0]},
                                                a.flag("bias", true));
              },
              .sample = "conv2d(4, 3, padding=1)",
              .sample_shape = {5, 6, 2}});
  layers.add("conv1d", {.help = "conv1d(OUT, KERNEL, stride=1, padding=0, dilation=1, groups=1, bias=true): over sequences [T, C]",
                        .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                          if (in.rank() != 2) throw ShapeError("[conv1d] expected sequences [T, C], got rows of " + in.text());
                          const std::int64_t out = a.count(0, "out");
                          const auto whole = [&](std::size_t at, const char* key, std::optional<std::int64_t> fallback, std::int64_t min) {
                            const auto both = a.pair(at, key, fallback, min);
                            if (both[0] != both[1]) throw UsageError(std::string("conv1d(") + key + ") is one number, not height x width");
                            return both[0];
                          };
                          const Conv1d::Options options{.kernel = whole(1, "kernel", {}, 1),
                                                        .stride = whole(2, "stride", 1, 1),
                                                        .padding = whole(3, "padding", 0, 0),
                                                        .dilation = whole(4, "dilation", 1, 1),
                                                        .groups = whole(5, "groups", 1, 1)};
                          return std::make_unique<Conv1d>(in[1], out, options, a.flag("bias", true));
                        },
                        .sample = "conv1d(3, 3, padding=1)",
                        .sample_shape = {7, 2}});
}

}  // namespace chorale
