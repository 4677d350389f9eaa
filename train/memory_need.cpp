#include <chorale/train/memory_need.hpp>

#include <fmt/format.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

MemoryNeed memory_need(std::int64_t arena, std::int64_t trainable, std::int64_t states, std::int64_t ranks, bool keeps_best) {
  return {.parameters = arena, .state = states * trainable, .gradients = ranks * trainable, .best = keeps_best ? arena : 0};
}

void check_memory(const MemoryNeed& need, const MemoryLimit& limit) {
  if (limit.who.empty() || need.total() <= limit.bytes) return;
  throw UsageError(
      fmt::format("[memory] this run needs at least {} on a node (parameters {}, optimiser {}, gradients {}{}), but {} allows {}; "
                  "ask for more, or use fewer ranks a node or a smaller model",
                  bytes_text(need.total()), bytes_text(need.parameters), bytes_text(need.state), bytes_text(need.gradients),
                  need.best > 0 ? ", best weights " + bytes_text(need.best) : "", limit.who, bytes_text(limit.bytes)));
}

}  // namespace chorale
