// Adam's moments and their corrections for rules that are built on them.
#pragma once
#include <chorale/core/optim/kernel_rule.hpp>

namespace chorale {

class Adam : public KernelRule {
 public:
  /// The rule itself, or one with the same state.
  explicit Adam(const OptimizerConfig& config, RuleKernel kernel = {&TypedKernels<float>::adam, &TypedKernels<double>::adam},
                UpdateNeeds needs = {})
      : KernelRule(config, kernel, {"exp_avg", "exp_avg_sq"}, needs) {}

 protected:
  void count(UpdateScalars& scalars, std::int64_t step) const override;
};

}  // namespace chorale
