#include <chorale/train/collab/entity.hpp>

#include <algorithm>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/feature_hash.hpp>

namespace chorale {

EntityId entity_id(std::string_view kind, std::string_view key) { return mix(hash_text(kind), hash_text(key)); }

EntityIndex index_entities(const std::vector<EntityId>& by_row) {
  EntityIndex out{.ids = by_row, .of_row = {}};
  std::sort(out.ids.begin(), out.ids.end());
  out.ids.erase(std::unique(out.ids.begin(), out.ids.end()), out.ids.end());
  out.ids.shrink_to_fit();
  if (out.ids.size() > std::numeric_limits<std::int32_t>::max())
    throw UsageError(std::to_string(out.ids.size()) + " entities in one task are more than 2^31 - 1; share a coarser entity");
  out.of_row = positions_of(by_row, out.ids);
  return out;
}

std::vector<std::int32_t> positions_of(const std::vector<EntityId>& wanted, const std::vector<EntityId>& ids) {
  std::vector<std::int32_t> out(wanted.size(), -1);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto it = std::lower_bound(ids.begin(), ids.end(), wanted[i]);
    if (it != ids.end() && *it == wanted[i]) out[i] = static_cast<std::int32_t>(it - ids.begin());
  }
  return out;
}

}  // namespace chorale
