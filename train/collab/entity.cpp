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

EntityIndex index_entities(const std::vector<EntityId>& by_row) {
  EntityIndex out{.ids = by_row, .of_row = {}};
  std::sort(out.ids.begin(), out.ids.end());
  out.ids.erase(std::unique(out.ids.begin(), out.ids.end()), out.ids.end());
  if (!out.ids.empty() && out.ids[0] == kNoEntity) out.ids.erase(out.ids.begin());
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
