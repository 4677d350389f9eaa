// AdaMax: Adam with the greatest gradient so far in place of the mean of squares (Kingma & Ba 2015, section 7.1), as torch.optim.Adamax.
#include <chorale/core/optim/kernel_rule.hpp>

#include <cmath>

namespace chorale {

namespace {

class Adamax final : public KernelRule {
 public:
  explicit Adamax(const OptimizerConfig& config)
      : KernelRule(config, {&TypedKernels<float>::adamax, &TypedKernels<double>::adamax}, {"exp_avg", "exp_inf"}) {}

 protected:
  void count(UpdateScalars& scalars, std::int64_t step) const override {
    scalars.correction1 = 1 / (1 - std::pow(config().beta1, static_cast<double>(step)));
  }
};

}  // namespace

void register_adamax(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "adamax", {.help = "Adam by the greatest gradient, Kingma & Ba 2015",
                 .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Adamax>(c); }});
}

}  // namespace chorale
