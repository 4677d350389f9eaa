#include <chorale/train/exchange/sharded.hpp>

#include <chorale/train/exchange/narrow.hpp>
#include <chorale/train/exchange/ownership.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

Sharded::Sharded(const ExchangeSetup& setup)
    : comm_(setup.comm),
      trace_(setup.trace),
      sum_(setup, {.doubled = false, .everywhere = false}),
      update_(owned_parts(setup.buckets, setup.comm.rank(), setup.comm.size()), &setup.comm) {
  if (sum_.one_node() || !sum_.link().is_narrow()) return;
  const std::int64_t n = setup.params.trainable_elements();
  residual_memory_ = comm_.node().allocate(comm_.node().rank() == 0 ? n : 0, DType::f32);
  residual_ = residual_memory_.peers[0];
  before_ = Tensor::empty(setup.params.device(), {n}, DType::f32);
}

StepOutcome Sharded::step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                          const RankReport& mine) {
  StepOutcome out = sum_.agree(order.number, reports, mine);
  if (out.bad_worker >= 0) return out;
  Stopwatch watch;
  std::optional<TraceSpan> span(std::in_place, trace_, "update");
  const bool is_narrow = residual_.elements > 0;
  (this->*(is_narrow ? &Sharded::update_narrow : &Sharded::update))(params, optimizer, order.number, out.weight);
  out.update_ms = watch.lap();
  span.emplace(trace_, "wait: parameters");
  if (is_narrow)
    sum_.link().spread_narrow(params.values(), true, "parameter differences");
  else if (sum_.one_node())
    comm_.barrier("parameters").wait();
  else
    sum_.link().spread(params.values(), "parameters");
  out.communicate_ms += watch.lap();
  return out;
}

void Sharded::update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  with_float_type(params.dtype(), [&]<class T>() {
    update_.run<T>(params, optimizer, step, weight, [&](std::int64_t first, std::int64_t n) { return sum_.sum<T>(first, n); });
  });
}

void Sharded::update_narrow(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) {
  float* values = params.values().as<float>();
  float* residual = residual_.as<float>();
  float* before = before_.data<float>();
  std::uint16_t* wire = sum_.link().narrow_values();
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) before[i] = values[i], values[i] += residual[i];
  update(params, optimizer, step, weight);
  for (const Share& part : sum_.link().own_parts())
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) {
      wire[i] = to_bf16(values[i] - before[i]);
      residual[i] = values[i] - (before[i] + from_bf16(wire[i]));
      values[i] = before[i];  // what every node adds the rounded difference to
    }
}

void Sharded::gather_state(Optimizer& optimizer) {
  if (sum_.one_node()) return;
  for (const Buffer& state : optimizer.state()) sum_.link().spread(state, "optimiser state");
  if (residual_.elements > 0) sum_.link().spread(residual_, "residuals");
}

std::vector<Carried> Sharded::carried() const {
  if (residual_.elements == 0) return {};
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
