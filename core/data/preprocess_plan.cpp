#include <chorale/core/data/preprocess_plan.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/core/data/target_words.hpp>

namespace chorale {
namespace {

template <class Enum, std::size_t N>
Enum one_of(const std::string& word, const std::array<std::string_view, N>& names, std::string_view key) {
  const auto it = std::find(names.begin(), names.end(), word);
  if (it != names.end()) return static_cast<Enum>(it - names.begin());
  std::string text = std::string(key) + " = " + word + " is unknown; allowed:";
  for (std::string_view known : names) text += " " + std::string(known);
  throw UsageError(text);
}

std::string_view type_name(ColumnType type) {
  constexpr std::array<std::string_view, 4> names = {"numbers", "categories", "text", "dates"};
  return names[static_cast<std::size_t>(type)];
}

// The columns that lists of [data] treat in their own way.
struct Overrides {
  std::map<int, Scale> scale;
  std::map<int, CategoryCode> code;
  std::set<int> log1p;
};

template <class Treatment>
void claim(std::map<int, Treatment>& taken, const std::vector<ColumnSchema>& schema, const std::vector<std::string>& columns,
           Treatment treatment, ColumnType wanted, const std::string& key) {
  for (const std::string& column : columns) {
    const int i = column_at(schema, column, key);
    const ColumnType type = schema[static_cast<std::size_t>(i)].type;
    const bool fits = type == wanted || (wanted == ColumnType::category && type == ColumnType::text);
    if (!fits) {
      throw UsageError(key + ": column '" + column + "' holds " + std::string(type_name(type)) + ", but " + key + " takes " +
                       std::string(type_name(wanted)) + "; name it in data." + (wanted == ColumnType::number ? "numeric" : "categorical") +
                       " if it is one");
    }
    const auto [it, fresh] = taken.emplace(i, treatment);
    if (!fresh && it->second != treatment) {
      throw UsageError(key + ": column '" + column + "' is already in data." + std::string(name(it->second)) +
                       "; name it in one list only");
    }
  }
}

Overrides overrides(const DataOptions& o, const std::vector<ColumnSchema>& schema) {
  Overrides out;
  const auto number = ColumnType::number, category = ColumnType::category;
  claim(out.scale, schema, o.standardise, Scale::standardise, number, "data.standardise");
  claim(out.scale, schema, o.minmax, Scale::minmax, number, "data.minmax");
  claim(out.scale, schema, o.robust, Scale::robust, number, "data.robust");
  claim(out.scale, schema, o.quantile_normal, Scale::quantile_normal, number, "data.quantile_normal");
  claim(out.scale, schema, o.quantile_bins, Scale::quantile_bins, number, "data.quantile_bins");
  claim(out.scale, schema, o.keep, Scale::none, number, "data.keep");
  claim(out.code, schema, o.one_hot, CategoryCode::one_hot, category, "data.one_hot");
  claim(out.code, schema, o.ordinal, CategoryCode::ordinal, category, "data.ordinal");
  claim(out.code, schema, o.hashing, CategoryCode::hashing, category, "data.hashing");
  std::map<int, Scale> logs;
  claim(logs, schema, o.log1p, Scale::none, number, "data.log1p");
  for (const auto& [column, unused] : logs) out.log1p.insert(column);
  return out;
}

// Marks the columns that are no features.
std::set<int> roles(const DataOptions& o, const std::vector<TargetKind>& kinds, PreprocessPlan& plan) {
  std::set<int> taken;
  const auto& schema = plan.schema;
  for (const std::string& column : o.drop) taken.insert(column_at(schema, column, "data.drop"));
  const auto role = [&](const std::string& column, const std::string& key) {
    const int i = column_at(schema, column, key);
    if (!taken.insert(i).second) {
      throw UsageError(key + ": column '" + column + "' already has another role (target, weight, id or drop); give it one role");
    }
    return i;
  };
  const std::vector<std::string> targets = target_names(o.target);
  if (!targets.empty() && targets.size() != kinds.size())
    throw InternalError(std::to_string(targets.size()) + " targets and " + std::to_string(kinds.size()) + " kinds");
  if (!o.positive.empty() && targets.empty()) throw UsageError("data.positive needs data.target: which column is it about?");
  for (std::size_t t = 0; t < targets.size(); ++t)
    plan.targets.push_back({.source = role(targets[t], "data.target"),
                            .kind = kinds[t],
                            .positive = TargetRule(words_of_target("data.positive", o.positive, targets, t))});
  if (!o.weight.empty()) {
    plan.weight = role(o.weight, "data.weight");
    if (schema[static_cast<std::size_t>(plan.weight)].type != ColumnType::number) {
      throw UsageError("data.weight: column '" + o.weight + "' does not hold numbers; name another column");
    }
  }
  for (const std::string& column : o.id) plan.ids.push_back(role(column, "data.id"));
  const SplitRule rule = parse_split(o.split, o.fold);
  if (!rule.column.empty()) {
    plan.split = column_at(schema, rule.column, "data.split");
    // A column that names the part, or the group, says nothing that holds for new rows; a time may.
    if (rule.kind != SplitRule::Kind::time) taken.insert(plan.split);
  }
  return taken;
}

void check_target(const PreprocessPlan& plan, const TargetPlan& target) {
  const ColumnSchema& column = plan.schema[static_cast<std::size_t>(target.source)];
  if (target.kind == TargetKind::value && column.type != ColumnType::number)
    throw DataError("data.target: column '" + column.name +
                    "' does not hold numbers, but the loss fits a value; use binary_cross_entropy or cross_entropy for classes");
  if (target.positive.is_empty()) return;
  if (target.kind != TargetKind::binary)
    throw UsageError(
        "data.positive makes two classes, which only a loss of two classes fits (binary_cross_entropy, binary_focal); remove one of the "
        "two");
  if (target.positive.compares() && column.type != ColumnType::number)
    throw DataError("data.positive compares with a number, but column '" + column.name + "' holds none; name the values instead");
}

}  // namespace

std::string_view name(Scale scale) { return scale == Scale::none ? "keep" : kScaleNames[static_cast<std::size_t>(scale)]; }
std::string_view name(CategoryCode code) { return kCategoryCodeNames[static_cast<std::size_t>(code)]; }
std::string_view name(TargetKind kind) { return kTargetKindNames[static_cast<std::size_t>(kind)]; }

int column_at(const std::vector<ColumnSchema>& schema, std::string_view column, std::string_view key) {
  std::vector<std::string> names;
  for (const ColumnSchema& c : schema) {
    if (c.name == column) return static_cast<int>(&c - schema.data());
    names.push_back(c.name);
  }
  std::string text = std::string(key) + ": the table has no column '" + std::string(column) + "'";
  const std::string near = nearest_name(column, names);
  text += (near.empty() ? "." : "; did you mean '" + near + "'?") + std::string(" Columns:");
  for (std::size_t i = 0; i < names.size() && i < 40; ++i) text += " " + names[i];
  throw UsageError(names.size() > 40 ? text + " ..." : text);
}

PreprocessPlan make_plan(const DataOptions& o, const std::vector<ColumnSchema>& schema, const std::vector<TargetKind>& kinds) {
  PreprocessPlan plan;
  plan.schema = schema;
  plan.impute = one_of<Impute>(o.impute, std::array<std::string_view, 4>{"mean", "median", "most_frequent", "constant"}, "data.impute");
  plan.impute_value = o.impute_value;
  plan.impute_most_frequent =
      one_of<int>(o.impute_categorical, std::array<std::string_view, 2>{"own", "most_frequent"}, "data.impute_categorical") == 1;
  plan.missing_indicator = o.missing_indicator;
  plan.bins = o.bins, plan.hash_buckets = o.hash_buckets, plan.min_frequency = o.min_frequency;
  const Scale scale = one_of<Scale>(o.scale, kScaleNames, "data.scale");
  const CategoryCode code = one_of<CategoryCode>(o.encode, kCategoryCodeNames, "data.encode");
  const Overrides own = overrides(o, schema);
  const std::set<int> taken = roles(o, kinds, plan);
  for (const TargetPlan& target : plan.targets) check_target(plan, target);
  std::set<int> wanted;
  for (const std::string& column : o.columns) {
    const int i = column_at(schema, column, "data.columns");
    if (taken.contains(i))
      throw UsageError("data.columns: column '" + column + "' has another role (target, weight, id, drop or split); leave it out of one");
    wanted.insert(i);
  }
  for (int i = 0; i < static_cast<int>(schema.size()); ++i) {
    if (taken.contains(i) || (!wanted.empty() && !wanted.contains(i))) continue;
    ColumnPlan c{.name = schema[static_cast<std::size_t>(i)].name,
                 .source = i,
                 .type = schema[static_cast<std::size_t>(i)].type,
                 .scale = scale,
                 .code = code};
    if (c.type == ColumnType::text) {
      if (!own.code.contains(i)) {
        plan.left_out.push_back(c.name);
        continue;
      }
      c.type = ColumnType::category;
    }
    if (auto it = own.scale.find(i); it != own.scale.end()) c.scale = it->second;
    if (auto it = own.code.find(i); it != own.code.end()) c.code = it->second;
    c.log1p = own.log1p.contains(i);
    plan.features.push_back(std::move(c));
  }
  if (plan.features.empty()) throw DataError("no column is left as a feature; data.drop, data.id and data.target take all of them");
  return plan;
}

}  // namespace chorale
