// The keys of [optimizer]: rule, groups, and how the rate goes over a run.
#pragma once
#include <chorale/core/base/option.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Declares them; the registry gives the choices.
void describe_optimizer(OptionTable& table, OptimizerOptions& options, const Registry& registry);

}  // namespace chorale
