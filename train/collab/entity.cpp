#include <chorale/train/collab/entity.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/feature_hash.hpp>

namespace chorale {

EntityId entity_id(std::string_view kind, std::string_view key) { return mix(hash_text(kind), hash_text(key)); }

namespace {
std::string key_of(double value) {
  return std::rint(value) == value && std::fabs(value) < 0x1p53 ? std::to_string(static_cast<std::int64_t>(value))
                                                                : fmt::format("{}", value);
}
}  // namespace

std::vector<EntityId> entity_ids(std::string_view kind, const ColumnChunk& values, std::int64_t rows, ColumnType type) {
  std::vector<EntityId> out(static_cast<std::size_t>(rows), kNoEntity);
  if (type != ColumnType::number && type != ColumnType::date) {
    std::vector<EntityId> of_code;
    for (const std::string& text : values.dictionary) of_code.push_back(entity_id(kind, text));
    for (std::size_t i = 0; i < out.size(); ++i)
      if (values.codes[i] >= 0) out[i] = of_code[static_cast<std::size_t>(values.codes[i])];
    return out;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double value = values.numbers[i];
    if (std::isnan(value)) continue;
    out[i] = entity_id(kind, key_of(value));
  }
  return out;
}

std::vector<EntityId> entity_ids_of_words(std::string_view kind, const ColumnChunk& values, std::int64_t rows, ColumnType trained) {
  ColumnChunk keys = values;
  for (std::string& word : keys.dictionary) {
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (trained == ColumnType::number && error == std::errc() && end == word.data() + word.size()) word = key_of(value);
  }
  return entity_ids(kind, keys, rows, ColumnType::text);
}

namespace {

using Key = std::pair<EntityId, std::int32_t>;

Key key_at(const EntityKeys& keys, std::size_t i) { return {keys.ids[i], keys.periods.empty() ? 0 : keys.periods[i]}; }

/// The first key that is not below `wanted`.
std::size_t lower_bound(const EntityKeys& keys, const Key& wanted) {
  std::size_t first = 0, count = keys.ids.size();
  while (count > 0) {
    const std::size_t half = count / 2;
    if (key_at(keys, first + half) < wanted)
      first += half + 1, count -= half + 1;
    else
      count = half;
  }
  return first;
}

}  // namespace

std::int32_t EntityIndex::first_of(std::int32_t key) const {
  return static_cast<std::int32_t>(std::lower_bound(ids.begin(), ids.end(), ids[static_cast<std::size_t>(key)]) - ids.begin());
}

EntityIndex index_entities(const std::vector<EntityId>& by_row, std::span<const std::int32_t> periods) {
  std::vector<Key> keys;
  for (std::size_t row = 0; row < by_row.size(); ++row)
    if (by_row[row] != kNoEntity) keys.emplace_back(by_row[row], periods.empty() ? 0 : periods[row]);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.size() > std::numeric_limits<std::int32_t>::max())
    throw UsageError(std::to_string(keys.size()) +
                     " entities in one task are more than 2^31 - 1; share a coarser entity, or take longer "
                     "periods");
  EntityIndex out;
  out.ids.reserve(keys.size());
  for (const auto& [id, period] : keys) {
    out.ids.push_back(id);
    if (!periods.empty()) out.periods.push_back(period);
  }
  out.of_row = positions_of({by_row, periods}, out.keys());
  return out;
}

std::vector<std::int32_t> positions_of(const EntityKeys& wanted, const EntityKeys& keys) {
  std::vector<std::int32_t> out(wanted.ids.size(), -1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t at = lower_bound(keys, key_at(wanted, i));
    if (at < keys.ids.size() && key_at(keys, at) == key_at(wanted, i)) out[i] = static_cast<std::int32_t>(at);
  }
  return out;
}

std::vector<std::int32_t> positions_before(const EntityKeys& wanted, const EntityKeys& keys) {
  if (wanted.periods.empty()) return positions_of(wanted, keys);
  std::vector<std::int32_t> out(wanted.ids.size(), -1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t own = lower_bound(keys, key_at(wanted, i));
    if (own > 0 && keys.ids[own - 1] == wanted.ids[i]) out[i] = static_cast<std::int32_t>(own - 1);
  }
  return out;
}

std::int32_t position_before(const EntityKeys& keys, EntityId id, std::int32_t period) {
  const bool has_time = !keys.periods.empty();
  const std::span<const std::int32_t> periods = has_time ? std::span<const std::int32_t>(&period, 1) : std::span<const std::int32_t>();
  return positions_before({std::span<const EntityId>(&id, 1), periods}, keys)[0];
}

}  // namespace chorale
