// pipeline.json: a version, then the fields of Pipeline under their own names.
#include <chorale/core/data/pipeline.hpp>

#include <nlohmann/json.hpp>

#include <chorale/core/base/excerpt.hpp>

namespace chorale {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kVersion = 5;
constexpr std::int64_t kMostBuckets = 1 << 20;  // as data.hash_buckets
constexpr std::array<std::string_view, 4> kTypes = {"number", "category", "text", "date"};
constexpr std::array<std::string_view, 3> kOrders = {"ymd", "dmy", "mdy"};

template <class Enum, std::size_t N>
Enum parse(const Json& json, const std::array<std::string_view, N>& names) {
  const auto text = json.get<std::string>();
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) return static_cast<Enum>(i);
  }
  throw CheckpointError("pipeline.json: '" + text + "' is unknown; it was written by a newer version");
}

Json to_json(const FittedColumn& c) {
  Json out{{"name", c.name}, {"type", kTypes[static_cast<int>(c.type)]}};
  if (c.type == ColumnType::category) {
    out["encode"] = kCategoryCodeNames[static_cast<int>(c.code)];
    out["categories"] = c.categories, out["missing_slot"] = c.missing_slot, out["missing_as"] = c.missing_as, out["buckets"] = c.buckets;
    return out;
  }
  out["date_part"] = c.date_part, out["scale"] = kScaleNames[static_cast<int>(c.scale)], out["log1p"] = c.log1p,
  out["indicator"] = c.indicator;
  out["fill"] = c.fill, out["shift"] = c.shift, out["factor"] = c.factor, out["quantiles"] = c.quantiles;
  return out;
}

FittedColumn column_from(const Json& in) {
  FittedColumn c;
  c.name = in.at("name").get<std::string>();
  c.type = parse<ColumnType>(in.at("type"), kTypes);
  if (c.type == ColumnType::category) {
    c.code = parse<CategoryCode>(in.at("encode"), kCategoryCodeNames);
    c.categories = in.at("categories").get<std::vector<std::string>>();
    c.missing_slot = in.at("missing_slot").get<bool>();
    c.missing_as = in.at("missing_as").get<int>();
    c.buckets = in.at("buckets").get<std::int64_t>();
    if (c.code == CategoryCode::hashing && (c.buckets < 1 || c.buckets > kMostBuckets))
      throw CheckpointError("pipeline.json: column '" + excerpt(c.name) + "' has " + std::to_string(c.buckets) +
                            " buckets, expected 1 to " + std::to_string(kMostBuckets));
    if (c.missing_as < 0 || c.missing_as >= c.slots())
      throw CheckpointError("pipeline.json: column '" + c.name + "' has a slot out of range");
    return c;
  }
  c.date_part = in.at("date_part").get<int>();
  c.scale = parse<Scale>(in.at("scale"), kScaleNames);
  c.log1p = in.at("log1p").get<bool>(), c.indicator = in.at("indicator").get<bool>();
  c.fill = in.at("fill").get<double>(), c.shift = in.at("shift").get<double>(), c.factor = in.at("factor").get<double>();
  c.quantiles = in.at("quantiles").get<std::vector<double>>();
  if (c.date_part >= kDateParts) throw CheckpointError("pipeline.json: column '" + c.name + "' has an unknown part of a date");
  if (c.scale == Scale::quantile_normal && c.quantiles.size() < 2)
    throw CheckpointError("pipeline.json: column '" + c.name + "' lacks quantiles");
  return c;
}

Json to_json(const FittedTarget& t) {
  Json out{{"target", t.name}, {"target_kind", kTargetKindNames[static_cast<int>(t.kind)]}};
  if (!t.positive.empty()) out["positive"] = t.positive;
  out["classes"] = t.classes, out["class_rows"] = t.class_rows;
  return out;
}

FittedTarget target_from(const Json& in) {
  FittedTarget t{.name = in.at("target").get<std::string>(), .kind = parse<TargetKind>(in.at("target_kind"), kTargetKindNames)};
  if (in.contains("positive")) t.positive = in.at("positive").get<std::vector<std::string>>();
  t.classes = in.at("classes").get<std::vector<std::string>>(), t.class_rows = in.at("class_rows").get<std::vector<std::int64_t>>();
  return t;
}

Json to_json(const ArrayFeatures& a) {
  const auto dims = a.row_shape.dims();
  return {{"row_shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
          {"stored", std::string(name(a.stored))},
          {"shift", a.shift},
          {"factor", a.factor}};
}

ArrayFeatures array_from(const Json& in) {
  const auto dims = in.at("row_shape").get<std::vector<std::int64_t>>();
  std::int64_t elements = 1;
  bool is_sound = !dims.empty() && dims.size() < static_cast<std::size_t>(Shape::kMaxRank);
  for (const std::int64_t n : dims)
    is_sound = is_sound && n > 0 && !__builtin_mul_overflow(elements, n, &elements) && elements <= std::int64_t{1} << 40;
  const auto stored = in.at("stored").get<std::string>();
  ArrayFeatures a{.row_shape = is_sound ? Shape(dims) : Shape(),
                  .stored = stored == "u8" ? DType::u8 : DType::f32,
                  .shift = in.at("shift").get<std::vector<double>>(),
                  .factor = in.at("factor").get<std::vector<double>>()};
  const std::size_t places = a.factor.size();
  is_sound = is_sound && a.shift.size() == places && (places <= 1 || static_cast<std::int64_t>(places) == dims.back()) &&
             (stored == "u8" || stored == "f32");
  if (!is_sound) throw CheckpointError("pipeline.json: its array has an impossible shape, type or scale; it is damaged");
  return a;
}

Json to_json(const TokenFeatures& t) { return {{"kind", t.kind}, {"context", t.context}, {"characters", t.characters}}; }

TokenFeatures tokens_from(const Json& in) {
  TokenFeatures t{.kind = in.at("kind").get<std::string>(),
                  .context = in.at("context").get<std::int64_t>(),
                  .characters = in.at("characters").get<std::vector<std::string>>()};
  if (t.kind != "byte" && t.kind != "character")
    throw CheckpointError("pipeline.json: tokens of kind '" + excerpt(t.kind) + "' are unknown; it was written by a newer version");
  if (t.context < 1 || t.context > kMostBuckets)
    throw CheckpointError("pipeline.json: a row has " + std::to_string(t.context) + " tokens; it is damaged");
  return t;
}

/// What an older program can read, it may.
int version_of(const Pipeline& p) {
  if (p.tokens.is_there()) return 5;
  if (p.array.is_there()) return 4;
  if (p.targets.size() > 1 || !p.published.tasks.empty()) return 3;
  return p.targets.empty() || p.targets[0].positive.empty() ? 1 : 2;
}

}  // namespace

std::string Pipeline::to_json() const {
  Json out{{"version", version_of(*this)}};
  for (const ColumnSchema& c : schema) {
    Json column{{"name", c.name}, {"type", kTypes[static_cast<int>(c.type)]}};
    if (c.type == ColumnType::date) column["date_order"] = kOrders[static_cast<int>(c.date_order)];
    out["schema"].push_back(std::move(column));
  }
  if (targets.size() < 2)  // beside the rest, as older versions have it; no target is one without a name
    out.update(chorale::to_json(targets.empty() ? FittedTarget() : targets[0]));
  else
    for (const FittedTarget& t : targets) out["targets"].push_back(chorale::to_json(t));
  out["weight"] = weight, out["ids"] = ids, out["left_out"] = left_out;
  out["split"] = split, out["split_seed"] = split_seed, out["training_rows"] = training_rows;
  out["columns"] = Json::array();
  for (const FittedColumn& c : columns) out["columns"].push_back(chorale::to_json(c));
  if (!published.tasks.empty())
    out["published"] = {{"run", published.run},     {"kind", published.kind},   {"column", published.column},
                        {"tasks", published.tasks}, {"width", published.width}, {"version", published.version}};
  if (array.is_there()) out["array"] = chorale::to_json(array), out["schema"] = Json::array();
  if (tokens.is_there()) out["tokens"] = chorale::to_json(tokens), out["schema"] = Json::array();
  out["feature_names"] = feature_names();
  return out.dump(1) + "\n";
}

Pipeline Pipeline::from_json(const std::string& text) {
  try {
    const Json in = Json::parse(text);
    if (const int version = in.at("version").get<int>(); version > kVersion) {
      throw CheckpointError("pipeline.json has version " + std::to_string(version) + ", this program reads up to " +
                            std::to_string(kVersion) + "; use a newer program");
    }
    Pipeline p;
    for (const Json& c : in.at("schema")) {
      ColumnSchema& column = p.schema.emplace_back(ColumnSchema{c.at("name").get<std::string>(), parse<ColumnType>(c.at("type"), kTypes)});
      if (column.type == ColumnType::date) column.date_order = parse<DateOrder>(c.at("date_order"), kOrders);
    }
    if (in.contains("targets"))
      for (const Json& t : in.at("targets")) p.targets.push_back(target_from(t));
    else if (FittedTarget t = target_from(in); !t.name.empty())
      p.targets.push_back(std::move(t));
    p.weight = in.at("weight").get<std::string>(), p.ids = in.at("ids").get<std::vector<std::string>>();
    p.left_out = in.at("left_out").get<std::vector<std::string>>();
    p.split = in.at("split").get<std::string>(), p.split_seed = in.at("split_seed").get<std::int64_t>();
    p.training_rows = in.at("training_rows").get<std::int64_t>();
    for (const Json& c : in.at("columns")) p.columns.push_back(column_from(c));
    if (in.contains("array")) p.array = array_from(in.at("array"));
    if (in.contains("tokens")) p.tokens = tokens_from(in.at("tokens"));
    if (in.contains("published")) {
      const Json& r = in.at("published");
      p.published = {r.at("run"),   r.at("kind"),   r.at("column"), r.at("tasks").get<std::vector<std::string>>(),
                     r.at("width"), r.at("version")};
      if (p.published.width < 1 || p.published.width > kMostBuckets)
        throw CheckpointError("pipeline.json: published rows have width " + std::to_string(p.published.width));
    }
    return p;
  } catch (const Json::exception& e) {
    throw CheckpointError(std::string("pipeline.json is damaged: ") + e.what());
  }
}

}  // namespace chorale
