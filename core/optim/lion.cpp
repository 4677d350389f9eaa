// Lion: the sign of a mean of gradients (Chen et al. 2023, algorithm 2), decay taken from the parameter. Its authors take beta2 = 0.99 and
// a rate three to ten times smaller than AdamW's.
#include <chorale/core/optim/kernel_rule.hpp>

namespace chorale {

void register_lion(Registry& registry) {
  registry.of<OptimizerEntry>().add("lion", {.help = "the sign of a mean of gradients, Chen et al. 2023",
                                             .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> {
                                               return std::make_unique<KernelRule>(
                                                   c, RuleKernel{&TypedKernels<float>::lion, &TypedKernels<double>::lion},
                                                   std::vector<std::string>{"exp_avg"});
                                             },
                                             .decoupled_by_default = true});
}

}  // namespace chorale
