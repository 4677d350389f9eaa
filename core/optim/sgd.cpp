// Gradient descent with momentum, and Nesterov's form of it (Sutskever et al. 2013). As torch.optim.SGD: the first momentum is the
// gradient itself.
#include <chorale/core/optim/momentum.hpp>

namespace chorale {

std::vector<std::string> momentum_state(const OptimizerConfig& config) {
  if (config.nesterov && (config.momentum <= 0 || config.dampening != 0))
    throw UsageError("optimizer.nesterov needs optimizer.momentum above 0 and no dampening");
  return config.momentum != 0 ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{};
}

void register_sgd(Registry& registry) {
  registry.of<OptimizerEntry>().add("sgd", {.help = "gradient descent, with momentum and Nesterov's form",
                                            .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> {
                                              return std::make_unique<KernelRule>(c, kMomentumKernel, momentum_state(c));
                                            },
                                            .reads = {"momentum", "nesterov", "dampening"}});
}

}  // namespace chorale
