#include <chorale/core/data/table.hpp>

namespace chorale {

namespace {

template <class T>
void keep_values(std::vector<T>& values, const std::vector<std::uint8_t>& keep) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (keep[i]) values[kept++] = values[i];
  values.resize(kept);
}

// Renumbers codes by first appearance, so that a chunk looks as if the dropped rows had never been there.
void renumber(ColumnChunk& column) {
  std::vector<std::int32_t> number(column.dictionary.size(), -1);
  std::vector<std::string> dictionary;
  for (std::int32_t& code : column.codes) {
    if (code < 0) continue;
    std::int32_t& fresh = number[static_cast<std::size_t>(code)];
    if (fresh < 0) {
      fresh = static_cast<std::int32_t>(dictionary.size());
      dictionary.push_back(std::move(column.dictionary[static_cast<std::size_t>(code)]));
    }
    code = fresh;
  }
  column.dictionary = std::move(dictionary);
}

}  // namespace

std::string_view name(ColumnType type) {
  switch (type) {
    case ColumnType::number:
      return "number";
    case ColumnType::category:
      return "category";
    case ColumnType::text:
      return "text";
    case ColumnType::date:
      return "date";
  }
  return "";
}

int find_column(const Schema& schema, std::string_view name) {
  for (std::size_t i = 0; i < schema.size(); ++i)
    if (schema[i].name == name) return static_cast<int>(i);
  return -1;
}

void keep_rows(TableChunk& chunk, const std::vector<std::uint8_t>& keep) {
  chunk.rows = 0;
  for (std::uint8_t kept : keep) chunk.rows += kept != 0;
  for (ColumnChunk& column : chunk.columns) {
    keep_values(column.numbers, keep);
    keep_values(column.codes, keep);
    renumber(column);
  }
}

}  // namespace chorale
