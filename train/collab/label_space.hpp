// What every form of distillation needs: tasks with the same classes, and a weight that grows.
#pragma once
#include <cstdint>

#include <chorale/train/collab/strategy.hpp>

namespace chorale {

/// Collective over all tasks. Throws UsageError, equal on all ranks, that names two tasks whose labels are not of one kind and number.
void check_label_spaces(const StrategySetup& setup);
/// Of the term at this tick: 0 in the burn-in, then growing to distill.weight.
double distill_weight(const CollabOptions& options, const Tick& tick);

}  // namespace chorale
