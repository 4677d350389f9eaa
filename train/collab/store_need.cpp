#include <chorale/train/collab/store_need.hpp>

#include <fmt/format.h>

#include <numeric>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
std::int64_t fetched_bytes(std::span<const std::int64_t> own_keys, std::int64_t width) {
  return std::accumulate(own_keys.begin(), own_keys.end(), std::int64_t{0}) * (4 + 8 * width);
}
}  // namespace

std::int64_t StoreSize::all_keys() const { return std::accumulate(keys.begin(), keys.end(), std::int64_t{0}); }

StoreNeed store_need(const StoreSize& size, std::span<const std::int64_t> own_keys) {
  return {.rows = size.all_keys() * (10 + 4 * size.width + (size.has_time ? 4 : 0)), .fetched = fetched_bytes(own_keys, size.width)};
}

StoreNeed sharded_need(const StoreSize& size, const ShardKeyCounts& counts, std::span<const std::int64_t> own_keys, bool is_first_rank) {
  const std::int64_t row = 4 * size.width, period = size.has_time ? 4 : 0;
  return {.rows = counts.owned * (14 + row + period) + 8 * counts.published + counts.read * (9 + row) + 8 * counts.read_by,
          .fetched = fetched_bytes(own_keys, size.width),
          .checkpoint = is_first_rank ? 2 * size.all_keys() * (9 + row + period) : 0};
}

bool is_sharded(const std::string& form, const StoreSize& size, int ranks) {
  return form == "sharded" || (form == "auto" && ranks > 1 && store_need(size, {}).rows > kReplicatedBytes);
}

void check_store_memory(const StoreNeed& on_node, const MemoryLimit& limit, bool sharded) {
  if (limit.who.empty() || on_node.total() <= limit.bytes) return;
  const std::string parts =
      sharded ? fmt::format("{} of shards and rows that are read, {} fetched, {} for checkpoints", bytes_text(on_node.rows),
                            bytes_text(on_node.fetched), bytes_text(on_node.checkpoint))
              : fmt::format("{} of all publishers, one copy a rank, {} fetched", bytes_text(on_node.rows), bytes_text(on_node.fetched));
  throw UsageError(
      fmt::format("[memory] the vectors of entities need {} on this node ({}), but {} allows {}; ask for more, take {}a "
                  "smaller collab.width, or longer periods",
                  bytes_text(on_node.total()), parts, limit.who, bytes_text(limit.bytes),
                  sharded ? "" : "fewer ranks a node, collab.store = sharded, "));
}

}  // namespace chorale
