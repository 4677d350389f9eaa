// What tasks have in common: customers, products, sessions. An entity is known by a 64-bit hash of its kind and key, the same in every
// task; hashes are cut into 4,096 fixed buckets, which are what sums go over.
#pragma once
#include <cstdint>
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

/// The distinct entities of a list of rows.
struct EntityIndex {
  std::vector<EntityId> ids;         // rising, without kNoEntity
  std::vector<std::int32_t> of_row;  // position in ids, by row; -1: no entity
};
/// Throws UsageError beyond 2^31 - 1 entities.
EntityIndex index_entities(const std::vector<EntityId>& by_row);
/// Where `wanted` lie in `ids` (rising); -1: not there.
std::vector<std::int32_t> positions_of(const std::vector<EntityId>& wanted, const std::vector<EntityId>& ids);

}  // namespace chorale
