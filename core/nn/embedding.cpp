#include <chorale/core/nn/embedding.hpp>

#include <cmath>

#include <chorale/core/autograd/sequence_ops.hpp>
#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

Embedding::Embedding(std::int64_t tokens, std::int64_t width, double deviation)
    : tokens_(tokens),
      width_(width),
      weight_(
          add_parameter("weight", {tokens, width}, {.role = Init::Role::normal, .fan_in = tokens, .fan_out = width, .gain = deviation})) {}

Variable Embedding::forward(const Variable& tokens, const Pass& pass) { return lookup(tokens.value(), weight_.use(pass.training)); }

Shape Embedding::output_shape(const Shape& in) const {
  if (in.rank() != 1) throw ShapeError("[embedding] expected rows of tokens [T], got " + in.text());
  return {in[0], width_};
}

std::string Embedding::name() const { return "embedding(" + std::to_string(tokens_) + ", " + std::to_string(width_) + ")"; }

namespace {
void check_sequence(const char* layer, const Shape& in) {
  if (in.rank() != 2) throw ShapeError(std::string("[") + layer + "] expected rows [T, C], got " + in.text());
}
}  // namespace

LearnedPositions::LearnedPositions(std::int64_t time, std::int64_t width, double deviation)
    : time_(time),
      width_(width),
      weight_(add_parameter("weight", {time, width}, {.role = Init::Role::normal, .fan_in = time, .fan_out = width, .gain = deviation})) {}

Variable LearnedPositions::forward(const Variable& x, const Pass& pass) { return add_positions(x, weight_.use(pass.training)); }

Shape LearnedPositions::output_shape(const Shape& in) const {
  check_sequence("positions", in);
  return in;
}

std::string LearnedPositions::name() const { return "positions(" + std::to_string(time_) + ", " + std::to_string(width_) + ")"; }

Variable SinusoidalPositions::forward(const Variable& x, const Pass& pass) {
  if (x.shape().rank() != 3) throw ShapeError("[sinusoidal_positions] expected x [B, T, C], got " + x.shape().text());
  const std::int64_t time = x.shape()[1], width = x.shape()[2];
  const bool fits = table_.defined() && table_.shape()[0] >= time && table_.shape()[1] == width && table_.dtype() == x.dtype();
  if (!fits) {
    table_ = Tensor::empty(pass.device, {time, width}, x.dtype());
    with_float_type(x.dtype(), [&]<class T>() {
      for (std::int64_t t = 0; t < time; ++t)
        for (std::int64_t c = 0; c < width; ++c) {
          const double angle = static_cast<double>(t) / std::pow(10000, static_cast<double>(c / 2 * 2) / static_cast<double>(width));
          table_.data<T>()[t * width + c] = static_cast<T>(c % 2 ? std::cos(angle) : std::sin(angle));
        }
    });
  }
  return add_positions(x, Variable(table_));
}

Shape SinusoidalPositions::output_shape(const Shape& in) const {
  check_sequence("sinusoidal_positions", in);
  return in;
}

void register_embedding(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("embedding", {.help = "embedding(TOKENS, WIDTH, deviation=1): tokens [T] to [T, WIDTH], one learnt vector a token",
                           .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                             const std::int64_t tokens = a.count(0, "tokens"), width = a.count(1, "width");
                             auto layer = std::make_unique<Embedding>(tokens, width, a.number(2, "deviation", 1, 0, 100));
                             layer->output_shape(in);
                             return layer;
                           },
                           .sample = "embedding(7, 5)",
                           .sample_shape = {9},
                           .sample_tokens = 7});
  layers.add("positions", {.help = "positions(deviation=1): adds a learnt vector of its place to each of [T, C]",
                           .make = [](LayerArguments& a, const Shape& in) -> std::unique_ptr<Layer> {
                             check_sequence("positions", in);
                             return std::make_unique<LearnedPositions>(in[0], in[1], a.number(0, "deviation", 1, 0, 100));
                           },
                           .sample = "positions",
                           .sample_shape = {5, 3}});
  layers.add("sinusoidal_positions", {.help = "sinusoidal_positions: adds sines and cosines of its place to each of [T, C]",
                                      .make = [](LayerArguments&, const Shape& in) -> std::unique_ptr<Layer> {
                                        auto layer = std::make_unique<SinusoidalPositions>();
                                        layer->output_shape(in);
                                        return layer;
                                      },
                                      .sample = "sinusoidal_positions",
                                      .sample_shape = {4, 5}});
}

}  // namespace chorale
