#include <chorale/train/exchange/replicated.hpp>

namespace chorale {

Replicated::Replicated(const ExchangeSetup& setup)
    : BlockExchange(setup, {.doubled = true, .everywhere = true}, {.parts = {{0, setup.params.trainable_elements()}}, .among = nullptr}) {}

void Replicated::publish(FlatParams&) {
  if (!sum_.one_node()) comm_.node().barrier("sums have been read").wait();  // the node has them once
}

void register_replicated(Registry& registry) {
  registry.of<ExchangeEntry>().add(
      "replicated", {.help = "private parameters on every rank, one meeting a step",
                     .private_parameters = true,
                     .same_bits = true,
                     .make = [](const ExchangeSetup& s) -> std::unique_ptr<Exchange> { return std::make_unique<Replicated>(s); }});
}

}  // namespace chorale
