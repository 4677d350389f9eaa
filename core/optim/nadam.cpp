// NAdam: Adam with Nesterov's look ahead and a momentum that grows with the steps (Dozat 2016), as torch.optim.NAdam.
#include <chorale/core/optim/adam.hpp>

#include <cmath>

namespace chorale {

namespace {

class Nadam final : public Adam {
 public:
  explicit Nadam(const OptimizerConfig& config) : Adam(config, {&TypedKernels<float>::nadam, &TypedKernels<double>::nadam}) {}

 protected:
  void count(UpdateScalars& scalars, std::int64_t step) const override {
    Adam::count(scalars, step);
    scalars.correction1 = momentum_at(step + 1) / (1 - product_to(step + 1));
    scalars.correction_g = (1 - momentum_at(step)) / (1 - product_to(step));
  }

 private:
  double momentum_at(std::int64_t step) const {
    return config().beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * config().momentum_decay));
  }
  /// Of all momenta up to that step, multiplied in their order: a resumed run has the same bits.
  double product_to(std::int64_t step) const {
    while (static_cast<std::int64_t>(products_.size()) <= step)
      products_.push_back(products_.back() * momentum_at(static_cast<std::int64_t>(products_.size())));
    return products_[static_cast<std::size_t>(step)];
  }
  mutable std::vector<double> products_ = {1};  // by step; groups that begin later count their own
};

}  // namespace

void register_nadam(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "nadam", {.help = "Adam with Nesterov momentum, Dozat 2016",
                .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Nadam>(c); },
                .reads = {"momentum_decay"}});
}

}  // namespace chorale
