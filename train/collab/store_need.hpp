// What the store of representations takes of a node's memory, before it is taken: better refused at the start than killed by the kernel in
// the middle.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/memory_budget.hpp>
#include <chorale/train/collab/store.hpp>

namespace chorale {

/// Bytes of one rank, or of the ranks of a node.
struct StoreNeed {
  std::int64_t rows = 0;        // with their keys: of all publishers, or of a shard and of what is read of others
  std::int64_t fetched = 0;     // of the listener's own keys, for each source: in use, and of the best weights
  std::int64_t checkpoint = 0;  // of the rank that puts shards together
  std::int64_t total() const { return rows + fetched + checkpoint; }
};

/// Equal on all ranks.
struct StoreSize {
  std::vector<std::int64_t> keys;  // by publisher
  bool has_time = false;
  std::int64_t width = 8;
  std::int64_t all_keys() const;
};

/// Of one rank of a replicated store. own_keys: of the listener, by source. Source of the formulas: docs/collaborative.md.
StoreNeed store_need(const StoreSize& size, std::span<const std::int64_t> own_keys);

/// Keys of one rank of a sharded store.
struct ShardKeyCounts {
  std::int64_t owned = 0;      // whose rows it keeps, of all publishers
  std::int64_t published = 0;  // of its own task
  std::int64_t read = 0;       // of its own task that publishers know, by source
  std::int64_t read_by = 0;    // that ranks read of what it owns, each for itself
};
StoreNeed sharded_need(const StoreSize& size, const ShardKeyCounts& counts, std::span<const std::int64_t> own_keys, bool is_first_rank);

/// Stores up to this size (StoreNeed::rows of the replicated form) are replicated unless collab.store says something else.
inline constexpr std::int64_t kReplicatedBytes = std::int64_t{64} << 20;
/// Whether collab.store = auto, replicated or sharded means a sharded store.
bool is_sharded(const std::string& form, const StoreSize& size, int ranks);

/// Throws UsageError with both numbers and who sets the limit.
void check_store_memory(const StoreNeed& on_node, const MemoryLimit& limit, bool sharded);

}  // namespace chorale
