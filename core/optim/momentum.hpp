// Gradient descent with momentum, as rules that scale the gradient of each tensor first have it too.
#pragma once
#include <chorale/core/optim/kernel_rule.hpp>

namespace chorale {

inline constexpr RuleKernel kMomentumKernel = {&TypedKernels<float>::sgd, &TypedKernels<double>::sgd};

/// Names of the state. Throws UsageError for a Nesterov form without momentum, or with dampening.
std::vector<std::string> momentum_state(const OptimizerConfig& config);

}  // namespace chorale
