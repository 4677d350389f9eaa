#include <chorale/core/nn/pooling.hpp>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

namespace {

Shape pooled_shape(const char* layer, const Shape& in, const PoolOptions& o) {
  if (in.rank() != 3) throw ShapeError(std::string("[") + layer + "] expected images [H, W, C], got rows of " + in.text());
  return {window_count(in[0], o.window.h, o.stride.h, o.padding.h), window_count(in[1], o.window.w, o.stride.w, o.padding.w), in[2]};
}

std::string side_text(Pair p) { return p.h == p.w ? std::to_string(p.h) : std::to_string(p.h) + "x" + std::to_string(p.w); }

std::string pool_name(const char* layer, const PoolOptions& o) {
  std::string text = std::string(layer) + "(" + side_text(o.window);
  if (o.stride.h != o.window.h || o.stride.w != o.window.w) text += ", stride=" + side_text(o.stride);
  if (o.padding.h || o.padding.w) text += ", padding=" + side_text(o.padding);
  return text + ")";
}

PoolOptions pool_arguments(LayerArguments& a, const char* layer) {
  const auto window = a.pair(0, "window", {}, 1);
  PoolOptions o{.window = {window[0], window[1]}, .stride = {window[0], window[1]}};
  if (const auto stride = a.pair(1, "stride", 0, 0); stride[0] && stride[1]) o.stride = {stride[0], stride[1]};
  const auto padding = a.pair(2, "padding", 0, 0);
  o.padding = {padding[0], padding[1]};
  if (2 * o.padding.h > o.window.h || 2 * o.padding.w > o.window.w)
    throw UsageError(std::string(layer) + "(padding = " + side_text(o.padding) + ") is refused: at most half of the window");
  return o;
}

}  // namespace

Variable MaxPool2d::forward(const Variable& x, const Pass&) { return max_pool(x, options_); }
Shape MaxPool2d::output_shape(const Shape& in) const { return pooled_shape("max_pool2d", in, options_); }
std::string MaxPool2d::name() const { return pool_name("max_pool2d", options_); }

Variable AveragePool2d::forward(const Variable& x, const Pass&) { return average_pool(x, options_, counts_padding_); }
Shape AveragePool2d::output_shape(const Shape& in) const { return pooled_shape("avg_pool2d", in, options_); }
std::string AveragePool2d::name() const { return pool_name("avg_pool2d", options_); }

Variable AdaptiveAveragePool2d::forward(const Variable& x, const Pass&) { return adaptive_average_pool(x, out_); }
Shape AdaptiveAveragePool2d::output_shape(const Shape& in) const {
  if (in.rank() != 3) throw ShapeError("[adaptive_avg_pool2d] expected images [H, W, C], got rows of " + in.text());
  return {out_.h, out_.w, in[2]};
}
std::string AdaptiveAveragePool2d::name() const { return "adaptive_avg_pool2d(" + side_text(out_) + ")"; }

void register_pooling(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("max_pool2d", {.help = "max_pool2d(WINDOW, stride=WINDOW, padding=0): the greatest of each window of images [H, W, C]",
                            .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                              return std::make_unique<MaxPool2d>(pool_arguments(a, "max_pool2d"));
                            },
                            .sample = "max_pool2d(2)",
                            .sample_shape = {5, 6, 3}});
  layers.add("avg_pool2d",
             {.help = "avg_pool2d(WINDOW, stride=WINDOW, padding=0, counts_padding=true): the mean of each window of images [H, W, C]",
              .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                const PoolOptions options = pool_arguments(a, "avg_pool2d");
                return std::make_unique<AveragePool2d>(options, a.flag("counts_padding", true));
              },
              .sample = "avg_pool2d(2)",
              .sample_shape = {5, 6, 3}});
  layers.add("adaptive_avg_pool2d", {.help = "adaptive_avg_pool2d(OUT): means of OUT x OUT windows of images of any size; 1: of the whole",
                                     .make = [](LayerArguments& a, const Shape&) -> std::unique_ptr<Layer> {
                                       const auto out = a.pair(0, "out", {}, 1);
                                       return std::make_unique<AdaptiveAveragePool2d>(Pair{out[0], out[1]});
                                     },
                                     .sample = "adaptive_avg_pool2d(2x3)",
                                     .sample_shape = {5, 7, 3}});
}

}  // namespace chorale
