#include <chorale/train/exchange/shared.hpp>

#include <chorale/train/exchange/ownership.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

Shared::Shared(const ExchangeSetup& setup)
    : comm_(setup.comm),
      trace_(setup.trace),
      sum_(setup, {.doubled = false, .everywhere = true}),
      update_(owned_parts(setup.buckets, setup.comm.node().rank(), setup.comm.node().size()), &setup.comm.node()) {}

StepOutcome Shared::step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                         const RankReport& mine) {
  StepOutcome out = sum_.agree(order.number, reports, mine);
  if (out.bad_worker >= 0) return out;
  Stopwatch watch;
  std::optional<TraceSpan> span(std::in_place, trace_, "update");
  with_float_type(params.dtype(), [&]<class T>() {
    update_.run<T>(params, optimizer, order.number, out.weight, [&](std::int64_t first, std::int64_t n) { return sum_.sum<T>(first, n); });
  });
  out.update_ms = watch.lap();
  span.emplace(trace_, "wait: parameters");
  comm_.node().barrier("parameters").wait();
  out.communicate_ms += watch.lap();
  return out;
}

void register_shared(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "shared", {.help = "one copy of parameters and optimiser state a node, two meetings a step",
                 .private_parameters = false,
                 .same_bits = true,
                 .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Shared>(s); }});
}

}  // namespace chorale
