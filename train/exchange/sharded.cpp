#include <chorale/train/exchange/sharded.hpp>

#include <chorale/train/exchange/ownership.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

Sharded::Sharded(const ExchangeSetup& setup)
    : comm_(setup.comm),
      sum_(setup, {.doubled = false, .everywhere = false}),
      update_(owned_parts(setup.buckets, setup.comm.rank(), setup.comm.size()), &setup.comm) {}

StepOutcome Sharded::step(FlatParams& params, Optimizer& optimizer, std::int64_t step, std::span<const WorkerReport> reports,
                          const RankReport& mine) {
  StepOutcome out = sum_.agree(reports, mine);
  if (out.bad_worker >= 0) return out;
  Stopwatch watch;
  with_float_type(params.dtype(), [&]<class T>() {
    update_.run<T>(params, optimizer, step, out.weight, [&](std::int64_t first, std::int64_t n) { return sum_.sum<T>(first, n); });
  });
  out.update_ms = watch.lap();
  if (sum_.one_node())
    comm_.barrier("parameters").wait();
  else
    sum_.link().spread(params.values(), "parameters");
  out.communicate_ms += watch.lap();
  return out;
}

void Sharded::gather_state(Optimizer& optimizer) {
  if (sum_.one_node()) return;
  for (const Buffer& state : optimizer.state()) sum_.link().spread(state, "optimiser state");
}

void register_sharded(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "sharded", {.help = "optimiser state and update cut over all ranks, parameters once a node",
                  .private_parameters = false,
                  .same_bits = true,
                  .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Sharded>(s); }});
}

}  // namespace chorale
