#include <chorale/train/exchange/sharded.hpp>

#include <chorale/train/exchange/narrow.hpp>
#include <chorale/train/exchange/ownership.hpp>

namespace chorale {

Sharded::Sharded(const ExchangeSetup& setup)
    : BlockExchange(setup, {.doubled = false, .everywhere = false},
                    {.parts = owned_parts(setup.buckets, setup.comm.rank(), setup.comm.size()), .among = &setup.comm}) {
  if (sum_.one_node() || !sum_.link().is_narrow()) return;
  const std::int64_t n = setup.params.trainable_elements();
  residual_memory_ = comm_.node().allocate(comm_.node().rank() == 0 ? n : 0, DType::f32);
  residual_ = residual_memory_.peers[0];
  before_ = Tensor::empty(setup.params.device(), {n}, DType::f32);
}

void Sharded::update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  if (!is_narrow()) return BlockExchange::update(params, optimizer, step, weight);
  float* values = params.values().as<float>();
  float* residual = residual_.as<float>();
  float* before = before_.data<float>();
  std::uint16_t* wire = sum_.link().narrow_values();
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) before[i] = values[i], values[i] += residual[i];
  BlockExchange::update(params, optimizer, step, weight);
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) {
      wire[i] = to_bf16(values[i] - before[i]);
      residual[i] = values[i] - (before[i] + from_bf16(wire[i]));
      values[i] = before[i];  // what every node adds the rounded difference to
    }
}

void Sharded::publish(FlatParams& params) {
  if (is_narrow())
    sum_.link().spread_narrow(params.values(), true, "parameter differences");
  else if (sum_.one_node())
    comm_.barrier("parameters").wait();
  else
    sum_.link().spread(params.values(), "parameters");
}

void Sharded::gather_state(Optimizer& optimizer) {
  if (sum_.one_node()) return;
  for (const Buffer& state : optimizer.state()) sum_.link().spread(state, "optimiser state");
  if (is_narrow()) sum_.link().spread(residual_, "residuals");
}

std::vector<Carried> Sharded::carried() const {
  if (!is_narrow()) return {};
  return {{"residual", residual_, false}};
}

void register_sharded(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "sharded", {.help = "optimiser state and update cut over all ranks, parameters once a node",
                  .private_parameters = false,
                  .same_bits = true,
                  .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Sharded>(s); }});
}

}  // namespace chorale
