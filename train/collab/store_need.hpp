// What the store of representations takes of a node's memory, before it is taken: better refused at the start than killed by the kernel in
// the middle. Every rank keeps the rows of all publishers.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/data/memory_budget.hpp>
#include <chorale/train/collab/store.hpp>

namespace chorale {

/// Bytes of one rank, or of the ranks of a node.
struct StoreNeed {
  std::int64_t rows = 0;     // of all publishers, with their keys
  std::int64_t fetched = 0;  // of the listener's own keys, for each source: in use, and of the best weights
  std::int64_t total() const { return rows + fetched; }
};

/// own_keys: of the listener, by source. Source of the formula: docs/collaborative.md.
StoreNeed store_need(std::span<const Publisher> publishers, std::int64_t width, std::span<const std::int64_t> own_keys);

/// Throws UsageError with both numbers and who sets the limit.
void check_store_memory(const StoreNeed& on_node, const MemoryLimit& limit);

}  // namespace chorale
