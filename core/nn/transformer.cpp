#include <chorale/core/nn/transformer.hpp>

#include <cmath>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

/// As GPT-2 starts its tables (Radford et al. 2019): small beside what a norm makes of them.
constexpr double kTableDeviation = 0.02;

void check(const SequenceModelOptions& o) {
  if (o.is_tied && o.tokens != o.outputs)
    throw UsageError("model.tied needs as many results as tokens, got " + std::to_string(o.outputs) + " and " + std::to_string(o.tokens));
}

void add_positions_layer(Sequential& model, const SequenceModelOptions& o) {
  const auto add = [&](std::unique_ptr<Layer> layer) { model.insert(model.layers().size(), "positions", std::move(layer)); };
  if (o.positions == "learned") add(std::make_unique<LearnedPositions>(o.context, o.width, kTableDeviation));
  if (o.positions == "sinusoidal") add(std::make_unique<SinusoidalPositions>());
}

}  // namespace

TiedHead::TiedHead(const Embedding& embedding, std::int64_t tokens)
    : embedding_(embedding), bias_(add_parameter("bias", {tokens}, {.role = Init::Role::zeros})) {}

Variable TiedHead::forward(const Variable& x, const Pass& pass) {
  return linear(x, embedding_.weight().use(pass.training), bias_.use(pass.training));
}

Shape TiedHead::output_shape(const Shape& in) const {
  Shape out = in;
  out[-1] = bias_.shape()[0];
  return out;
}

std::unique_ptr<Sequential> build_transformer(const SequenceModelOptions& o) {
  check(o);
  auto model = std::make_unique<Sequential>();
  const auto add = [&](const std::string& name, std::unique_ptr<Layer> layer) {
    model->insert(model->layers().size(), name, std::move(layer));
  };
  auto table = std::make_unique<Embedding>(o.tokens, o.width, kTableDeviation);
  const Embedding& embedding = *table;
  add("embedding", std::move(table));
  add_positions_layer(*model, o);
  if (o.dropout > 0) add("dropout", std::make_unique<Dropout>(o.dropout));
  const bool is_pre = o.norm == "pre";
  for (std::int64_t i = 0; i < o.depth; ++i)
    add("encoder.layers." + std::to_string(i),
        std::make_unique<TransformerBlock>(BlockOptions{.width = o.width,
                                                        .feed_forward = o.feed_forward,
                                                        .attention = {o.heads, o.is_causal},
                                                        .dropout = o.dropout,
                                                        .norm_is_first = is_pre,
                                                        .activation = parse_block_activation(o.activation),
                                                        .residual_gain = is_pre ? 1 / std::sqrt(2.0 * static_cast<double>(o.depth)) : 1}));
  if (is_pre)
    add("encoder.norm",
        std::make_unique<Normalisation>("layer_norm", o.width, NormOptions(), Normalisation::Parameters{.weight = true, .bias = true}));
  if (o.is_tied)
    add("head", std::make_unique<TiedHead>(embedding, o.outputs));
  else
    add("head", std::make_unique<Linear>(o.width, o.outputs));
  return model;
}

void register_transformer(Registry& registry) {
  registry.of<SequenceModelEntry>().add("transformer", {"an encoder of self-attention blocks over tokens", build_transformer});
}

}  // namespace chorale
