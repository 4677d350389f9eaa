// What tasks have in common: customers, products, sessions. An entity is known by a 64-bit hash of its kind and key, the same in every
// task; hashes are cut into 4,096 fixed buckets, which are what sums go over. With time an entity has a key for each period that it has
// rows in, and what is known of it at a time is what earlier periods say.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <chorale/core/data/table.hpp>

namespace chorale {

using EntityId = std::uint64_t;

/// Of a row whose entity is not known: a guest without a customer number. It shares nothing.
inline constexpr EntityId kNoEntity = 0;

/// key: as text; whole numbers as digits, so that 17 in a table of numbers and "17" in one of texts are one customer.
EntityId entity_id(std::string_view kind, std::string_view key);
/// The upper 12 bits: ids in rising order lie bucket after bucket.
constexpr int bucket_of(EntityId id) { return static_cast<int>(id >> 52); }

/// The entities of a chunk's rows by the values of a column; a missing value is kNoEntity.
std::vector<EntityId> entity_ids(std::string_view kind, const ColumnChunk& values, std::int64_t rows, ColumnType type);
/// The same of values that were read as words, where they were numbers (`trained`) in the table that the ids are of: 17.0 is 17 again.
std::vector<EntityId> entity_ids_of_words(std::string_view kind, const ColumnChunk& values, std::int64_t rows, ColumnType trained);

/// Keys of a table of entities, rising: by id, and with time by period within an id.
struct EntityKeys {
  std::span<const EntityId> ids;
  std::span<const std::int32_t> periods = {};  // by key; empty: without time, each id once
};

/// The distinct keys of a list of rows: entities, or pairs of entity and period.
struct EntityIndex {
  std::vector<EntityId> ids;          // without kNoEntity
  std::vector<std::int32_t> of_row;   // position among the keys, by row; -1: no entity
  std::vector<std::int32_t> periods;  // by key; empty: without time
  EntityKeys keys() const { return {ids, periods}; }
  /// The first key of the same entity.
  std::int32_t first_of(std::int32_t key) const;
};
/// periods: by row; empty: without time. Throws UsageError beyond 2^31 - 1 keys.
EntityIndex index_entities(const std::vector<EntityId>& by_row, std::span<const std::int32_t> periods = {});
/// Where `wanted` lie in `keys`, period and all; -1: not there. Both with time, or both without.
std::vector<std::int32_t> positions_of(const EntityKeys& wanted, const EntityKeys& keys);
/// What a row may know of its entity: the key of its newest period before the row's own. Without time as positions_of.
std::vector<std::int32_t> positions_before(const EntityKeys& wanted, const EntityKeys& keys);
/// The same of one key.
std::int32_t position_before(const EntityKeys& keys, EntityId id, std::int32_t period);

}  // namespace chorale
