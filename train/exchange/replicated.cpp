#include <chorale/train/exchange/replicated.hpp>

#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

Replicated::Replicated(const ExchangeSetup& setup)
    : comm_(setup.comm),
      trace_(setup.trace),
      sum_(setup, {.doubled = true, .everywhere = true}),
      update_({{0, setup.params.trainable_elements()}}, nullptr) {}

StepOutcome Replicated::step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                             const RankReport& mine) {
  StepOutcome out = sum_.agree(order.number, reports, mine);
  if (out.bad_worker >= 0) return out;
  Stopwatch watch;
  std::optional<TraceSpan> span(std::in_place, trace_, "update");
  with_float_type(params.dtype(), [&]<class T>() {
    update_.run<T>(params, optimizer, order.number, out.weight, [&](std::int64_t first, std::int64_t n) { return sum_.sum<T>(first, n); });
  });
  out.update_ms = watch.lap();
  span.reset();
  if (sum_.one_node()) return out;
  comm_.node().barrier("sums have been read").wait();  // the node has them once
  out.communicate_ms += watch.lap();
  return out;
}

void register_replicated(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "replicated", {.help = "private parameters on every rank, one meeting a step",
                     .private_parameters = true,
                     .same_bits = true,
                     .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Replicated>(s); }});
}

}  // namespace chorale
