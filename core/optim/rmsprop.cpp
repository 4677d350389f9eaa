// RMSProp (Hinton 2012) with momentum, as torch.optim.RMSprop.
#include <chorale/core/optim/kernel_rule.hpp>

namespace chorale {

namespace {

class RmsProp final : public KernelRule {
 public:
  explicit RmsProp(const OptimizerConfig& config)
      : KernelRule(
            config, {&TypedKernels<float>::rmsprop, &TypedKernels<double>::rmsprop},
            config.momentum != 0 ? std::vector<std::string>{"square_avg", "momentum_buffer"} : std::vector<std::string>{"square_avg"}) {}

 protected:
  void count(UpdateScalars& scalars, std::int64_t) const override { scalars.beta2 = config().alpha; }
};

}  // namespace

void register_rmsprop(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "rmsprop", {.help = "Hinton 2012, smoothing optimizer.alpha",
                  .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<RmsProp>(c); },
                  .reads = {"momentum"}});
}

}  // namespace chorale
