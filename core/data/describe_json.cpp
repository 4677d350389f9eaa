#include <cmath>

#include <nlohmann/json.hpp>

#include <chorale/core/data/describe.hpp>

namespace chorale {

namespace {

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string describe_json(const DataDescription& d) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (const ColumnDescription& column : d.columns)
    columns.push_back({{"name", column.name},
                       {"type", name(column.type)},
                       {"role", column.name == d.target ? "target" : column.role},
                       {"missing", column.missing},
                       {"cardinality", column.different},
                       {"cardinality_is_exact", column.different_is_exact},
                       {"min", number_or_null(column.min)},
                       {"mean", number_or_null(column.mean)},
                       {"max", number_or_null(column.max)},
                       {"examples", column.examples},
                       {"note", column.note}});
  const nlohmann::ordered_json all = {
      {"files", d.files},  {"rows", d.rows},           {"bad_rows", d.bad_rows},         {"bad_examples", d.bad_examples},
      {"bytes", d.bytes},  {"separator", d.separator}, {"read_seconds", d.read_seconds}, {"target", d.target},
      {"columns", columns}};
  return all.dump(2);
}

}  // namespace chorale
