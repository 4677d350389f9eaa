// Adagrad (Duchi et al. 2011), as torch.optim.Adagrad without decay of the rate.
#include <chorale/core/optim/kernel_rule.hpp>

namespace chorale {

void register_adagrad(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "adagrad", {.help = "Duchi et al. 2011", .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> {
                    return std::make_unique<KernelRule>(c, RuleKernel{&TypedKernels<float>::adagrad, &TypedKernels<double>::adagrad},
                                                        std::vector<std::string>{"sum"});
                  }});
}

}  // namespace chorale
