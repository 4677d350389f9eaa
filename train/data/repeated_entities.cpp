#include <chorale/train/data/repeated_entities.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/feature_hash.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kFewestEntities = 20, kOneIn = 100;  // of Repeats::automatic
constexpr std::size_t kNamed = 5;

/// Empty: missing.
std::string cell(const ColumnChunk& column, std::int64_t row) {
  const auto r = static_cast<std::size_t>(row);
  if (!column.numbers.empty()) return std::isnan(column.numbers[r]) ? "" : fmt::format("{}", column.numbers[r]);
  return column.codes[r] < 0 ? "" : column.dictionary[static_cast<std::size_t>(column.codes[r])];
}

std::vector<std::uint64_t> hashes_of(const TableChunk& chunk, const std::vector<int>& read) {
  constexpr std::uint64_t kMissing = 0x6D697373u;
  std::vector<std::uint64_t> out(static_cast<std::size_t>(chunk.rows), 0);
  for (const int number : read) {
    const ColumnChunk& column = chunk.columns[static_cast<std::size_t>(number)];
    std::vector<std::uint64_t> of_word;
    for (const std::string& word : column.dictionary) of_word.push_back(hash_text(word));
    for (std::size_t row = 0; row < out.size(); ++row) {
      std::uint64_t value = kMissing;
      if (!column.numbers.empty() && !std::isnan(column.numbers[row])) value = std::bit_cast<std::uint64_t>(column.numbers[row]);
      if (column.numbers.empty() && column.codes[row] >= 0) value = of_word[static_cast<std::size_t>(column.codes[row])];
      out[row] = mix(out[row], value);
    }
  }
  return out;
}

/// Cells of these columns, of these rows, on every rank.
std::map<std::int64_t, std::vector<std::string>> cells(Communicator& comm, SharedTable& table, const std::vector<std::int64_t>& rows,
                                                       const std::vector<int>& columns) {
  nlohmann::json mine = nlohmann::json::array();
  table.each_piece("contradicting rows", [&](std::int64_t, const TableChunk& chunk) {
    for (const std::int64_t row : rows) {
      if (row < chunk.first_row || row >= chunk.first_row + chunk.rows) continue;
      std::vector<std::string> values;
      for (const int column : columns) values.push_back(cell(chunk.columns[static_cast<std::size_t>(column)], row - chunk.first_row));
      mine.push_back({row, values});
    }
  });
  const std::string text = mine.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::map<std::int64_t, std::vector<std::string>> out;
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(text)), "contradicting rows"))
    for (const auto& one : nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())))
      out[one[0].get<std::int64_t>()] = one[1].get<std::vector<std::string>>();
  return out;
}

}  // namespace

Repeats parse_repeats(std::string_view word) {
  if (word == "auto") return Repeats::automatic;
  if (word == "refuse") return Repeats::refuse;
  if (word == "allow") return Repeats::allow;
  throw UsageError("task.NAME.repeats = " + std::string(word) + " is refused: expected auto, refuse or allow");
}

std::vector<Contradiction> contradictions(std::span<const EntityId> ids, std::span<const std::int32_t> periods,
                                          std::span<const std::uint64_t> contents, Repeats rule) {
  if (rule == Repeats::allow || (rule == Repeats::automatic && !periods.empty())) return {};
  const auto key = [&](std::int64_t row) {
    const auto r = static_cast<std::size_t>(row);
    return std::pair(ids[r], periods.empty() ? 0 : periods[r]);
  };
  std::vector<std::int64_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  std::erase_if(rows, [&](std::int64_t row) { return ids[static_cast<std::size_t>(row)] == kNoEntity; });
  std::sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) { return std::pair(key(a), a) < std::pair(key(b), b); });
  std::vector<Contradiction> out;
  std::int64_t entities = 0, repeated = 0;
  for (std::size_t i = 0, next = 0; i < rows.size(); i = next) {
    bool differs = false;
    for (next = i + 1; next < rows.size() && key(rows[next]) == key(rows[i]); ++next) {
      if (differs || contents[static_cast<std::size_t>(rows[next])] == contents[static_cast<std::size_t>(rows[i])]) continue;
      differs = true;
      out.push_back({rows[i], rows[next]});
    }
    ++entities, repeated += next > i + 1;
  }
  if (rule == Repeats::automatic && (entities < kFewestEntities || repeated * kOneIn > entities)) return {};
  std::sort(out.begin(), out.end(), [](const Contradiction& a, const Contradiction& b) { return a.first < b.first; });
  return out;
}

void check_repeats(Communicator& comm, SharedTable& table, const RepeatsCheck& check) {
  if (check.rule == Repeats::allow || check.column.empty()) return;
  std::vector<std::uint64_t> rows_apart(check.ids.size());  // what each row says is read only where it matters
  std::iota(rows_apart.begin(), rows_apart.end(), std::uint64_t{0});
  if (contradictions(check.ids, check.periods, rows_apart, check.rule).empty()) return;
  const std::vector<std::uint64_t> contents =
      table.row_values("repeated entities", [&](const TableChunk& chunk) { return hashes_of(chunk, check.read); });
  const std::vector<Contradiction> found = contradictions(check.ids, check.periods, contents, check.rule);
  if (found.empty()) return;
  const Schema& schema = table.plan().schema;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < std::min(found.size(), kNamed); ++i) rows.push_back(found[i].first), rows.push_back(found[i].other);
  std::vector<int> columns = check.read;
  columns.push_back(find_column(schema, check.column));
  const auto said = cells(comm, table, rows, columns);
  std::string list;
  for (std::size_t i = 0; i + 1 < rows.size(); i += 2) {
    const std::vector<std::string>&a = said.at(rows[i]), &b = said.at(rows[i + 1]);
    std::string differing;
    for (std::size_t c = 0; c < check.read.size(); ++c)
      if (a[c] != b[c])
        differing += fmt::format("{}'{}' {} and {}", differing.empty() ? "" : ", ", schema[static_cast<std::size_t>(check.read[c])].name,
                                 a[c].empty() ? "nothing" : a[c], b[c].empty() ? "nothing" : b[c]);
    list += fmt::format("{}{} (rows {} and {}: {})", list.empty() ? "" : "; ", a.back(), rows[i] + 1, rows[i + 1] + 1, differing);
  }
  throw DataError(fmt::format(
      "{}: column '{}': {} {}s have several rows that contradict each other, where one row is the rule: {}{}; remove the wrong rows, or "
      "set task.NAME.repeats = allow where rows are events",
      table.place_of(std::string(check.column)), check.column, found.size(), check.kind, list, found.size() > kNamed ? " and others" : ""));
}

}  // namespace chorale
