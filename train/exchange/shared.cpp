#include <chorale/train/exchange/shared.hpp>

#include <chorale/train/exchange/ownership.hpp>

namespace chorale {

Shared::Shared(const ExchangeSetup& setup)
    : BlockExchange(setup, {.doubled = false, .everywhere = true},
                    {.parts = owned_parts(setup.buckets, setup.comm.node().rank(), setup.comm.node().size()), .among = &setup.comm.node()}),
      copies_(setup, parts_by_owner(setup.buckets, setup.comm.node().size())) {}

void Shared::publish(FlatParams&) {
  comm_.node().barrier("parameters").wait();
  copies_.publish();
}

void register_shared(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "shared", {.help = "one copy of parameters and optimiser state a node, two meetings a step",
                 .private_parameters = false,
                 .same_bits = true,
                 .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Shared>(s); }});
}

}  // namespace chorale
