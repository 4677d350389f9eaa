#include <chorale/train/collab/store_need.hpp>

#include <fmt/format.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

StoreNeed store_need(std::span<const Publisher> publishers, std::int64_t width, std::span<const std::int64_t> own_keys) {
  StoreNeed out;
  for (const Publisher& publisher : publishers) {
    const auto keys = static_cast<std::int64_t>(publisher.ids.size());
    out.rows += keys * (10 + 4 * width) + 4 * static_cast<std::int64_t>(publisher.periods.size());
  }
  for (const std::int64_t keys : own_keys) out.fetched += keys * (4 + 8 * width);
  return out;
}

void check_store_memory(const StoreNeed& on_node, const MemoryLimit& limit) {
  if (limit.who.empty() || on_node.total() <= limit.bytes) return;
  throw UsageError(
      fmt::format("[memory] the vectors of entities need {} on this node ({} of all publishers, one copy a rank, {} fetched), but {} "
                  "allows {}; ask for more, take fewer ranks a node, a smaller collab.width, or longer periods",
                  bytes_text(on_node.total()), bytes_text(on_node.rows), bytes_text(on_node.fetched), limit.who, bytes_text(limit.bytes)));
}

}  // namespace chorale
