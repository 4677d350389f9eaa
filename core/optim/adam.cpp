// Adam (Kingma & Ba 2015) with PyTorch's placing of eps, and with decay taken from the parameter as AdamW (Loshchilov & Hutter 2019).
#include <chorale/core/optim/adam.hpp>

#include <cmath>

namespace chorale {

void Adam::count(UpdateScalars& scalars, std::int64_t step) const {
  const double t = static_cast<double>(step);
  scalars.correction1 = 1 / (1 - std::pow(config().beta1, t));
  scalars.correction2 = 1 / (1 - std::pow(config().beta2, t));
}

void register_adam(Registry& registry) {
  const auto make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Adam>(c); };
  registry.of<OptimizerEntry>().add("adam", {.help = "Kingma & Ba 2015", .make = make});
  registry.of<OptimizerEntry>().add(
      "adamw", {.help = "Adam with decoupled decay, Loshchilov & Hutter 2019", .make = make, .decoupled_by_default = true});
}

}  // namespace chorale
