#include <chorale/core/nn/recurrent.hpp>

#include <chorale/core/nn/layer_entry.hpp>

namespace chorale {

namespace {
const char* name_of(RecurrentLayer::Kind kind) { return kind == RecurrentLayer::Kind::lstm ? "lstm" : "gru"; }
std::int64_t gates_of(RecurrentLayer::Kind kind) { return kind == RecurrentLayer::Kind::lstm ? 4 : 3; }
}  // namespace

// PyTorch draws all four from U(-1 / sqrt(hidden), 1 / sqrt(hidden)): the scheme "torch" with a fan of `hidden`.
RecurrentLayer::RecurrentLayer(Kind kind, std::int64_t in, std::int64_t hidden)
    : kind_(kind),
      in_(in),
      hidden_(hidden),
      w_ih_(add_parameter("weight_ih_l0", {gates_of(kind) * hidden, in}, {.fan_in = hidden, .fan_out = gates_of(kind) * hidden})),
      w_hh_(add_parameter("weight_hh_l0", {gates_of(kind) * hidden, hidden}, {.fan_in = hidden, .fan_out = gates_of(kind) * hidden})),
      b_ih_(add_parameter("bias_ih_l0", {gates_of(kind) * hidden}, {.role = Init::Role::bias, .fan_in = hidden})),
      b_hh_(add_parameter("bias_hh_l0", {gates_of(kind) * hidden}, {.role = Init::Role::bias, .fan_in = hidden})) {}

Variable RecurrentLayer::forward(const Variable& x, const Pass& pass) {
  const Variable w_ih = w_ih_.use(pass.training), w_hh = w_hh_.use(pass.training), b_ih = b_ih_.use(pass.training),
                 b_hh = b_hh_.use(pass.training);
  const RecurrentWeights weights{w_ih, w_hh, b_ih, b_hh};
  return kind_ == Kind::lstm ? lstm(x, weights) : gru(x, weights);
}

Shape RecurrentLayer::output_shape(const Shape& in) const {
  if (in.rank() != 2 || in[1] != in_)
    throw ShapeError(std::string("[") + name_of(kind_) + "] expected rows [T, " + std::to_string(in_) + "], got " + in.text());
  return {in[0], hidden_};
}

std::string RecurrentLayer::name() const {
  return std::string(name_of(kind_)) + "(" + std::to_string(in_) + ", " + std::to_string(hidden_) + ")";
}

Shape LastTime::output_shape(const Shape& in) const {
  if (in.rank() != 2) throw ShapeError("[last] expected rows [T, C], got " + in.text());
  return {in[1]};
}

namespace {

template <RecurrentLayer::Kind kind>
std::unique_ptr<Layer> make(LayerArguments& a, const Shape& in) {
  if (in.rank() != 2) throw ShapeError(std::string("[") + name_of(kind) + "] expected rows [T, C], got " + in.text());
  return std::make_unique<RecurrentLayer>(kind, in[1], a.count(0, "hidden"));
}

}  // namespace

void register_recurrent(Registry& registry) {
  auto& layers = registry.of<LayerEntry>();
  layers.add("lstm", {.help = "lstm(HIDDEN): long short-term memory over [T, C], the state of each time",
                      .make = make<RecurrentLayer::Kind::lstm>,
                      .sample = "lstm(3)",
                      .sample_shape = {5, 4}});
  layers.add("gru", {.help = "gru(HIDDEN): gated recurrent units over [T, C], the state of each time",
                     .make = make<RecurrentLayer::Kind::gru>,
                     .sample = "gru(3)",
                     .sample_shape = {5, 4}});
  layers.add("last", {.help = "last: the last time of [T, C]",
                      .make = [](LayerArguments&, const Shape&) -> std::unique_ptr<Layer> { return std::make_unique<LastTime>(); },
                      .sample = "last",
                      .sample_shape = {4, 3}});
}

}  // namespace chorale
