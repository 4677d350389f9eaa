// What a training takes of a node's memory before its first step, against what the node gives it: better refused at the start than killed
// by the kernel in the middle.
#pragma once
#include <cstdint>

#include <chorale/core/data/memory_budget.hpp>

namespace chorale {

/// Bytes on one node, at least: exchanges with private copies take more.
struct MemoryNeed {
  std::int64_t parameters = 0, state = 0, gradients = 0, best = 0;
  std::int64_t total() const { return parameters + state + gradients + best; }
};

/// arena, trainable: bytes of the parameters, and of those with gradients; states: of the optimiser for each; ranks: of this node.
MemoryNeed memory_need(std::int64_t arena, std::int64_t trainable, std::int64_t states, std::int64_t ranks, bool keeps_best);

/// Throws UsageError with both numbers and who sets the limit.
void check_memory(const MemoryNeed& need, const MemoryLimit& limit);

}  // namespace chorale
