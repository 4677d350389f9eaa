#include <chorale/train/starting_weights.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include <chorale/core/nn/parameter_pattern.hpp>

namespace chorale {

namespace {

constexpr std::size_t kMostNames = 8;  // in one line

std::string some_of(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) out += (i ? ", " : "") + names[i];
  return names.size() > kMostNames ? fmt::format("{}, ... ({} in all)", out, names.size()) : out;
}

/// Where a feature comes from: its column and its place within.
struct FeatureOrigin {
  const FittedColumn* column = nullptr;
  std::size_t feature = 0;
};

std::map<std::string, FeatureOrigin> origins(const Pipeline& pipeline) {
  std::map<std::string, FeatureOrigin> out;
  std::size_t feature = 0;
  for (const FittedColumn& column : pipeline.columns) {
    std::vector<std::string> names;
    column.add_names(names);
    for (const std::string& name : names) out.emplace(name, FeatureOrigin{&column, feature++});
  }
  return out;
}

/// A feature of one name means the same in both: the number of a category, for instance, does not where the vocabularies differ.
bool has_one_meaning(const FittedColumn& a, const FittedColumn& b) {
  if (a.type != b.type || a.date_part != b.date_part) return false;
  if (a.type != ColumnType::category) return a.scale == b.scale && a.log1p == b.log1p;
  if (a.code != b.code) return false;
  if (a.code == CategoryCode::ordinal) return a.categories == b.categories && a.missing_slot == b.missing_slot;
  return a.code != CategoryCode::hashing || a.buckets == b.buckets;
}

bool is_encoded_alike(const FittedColumn& a, const FittedColumn& b) {
  return a.shift == b.shift && a.factor == b.factor && a.quantiles == b.quantiles;
}

/// Rows that are numbered by token mean other tokens there.
bool has_other_tokens(const TokenFeatures& a, const TokenFeatures& b) {
  return a.is_there() && b.is_there() && (a.kind != b.kind || a.characters != b.characters);
}

std::string text_of(DType dtype, const Shape& shape) { return std::string(name(dtype)) + " " + shape.text(); }

}  // namespace

StartingWeights::StartingWeights(const Module& model, DType dtype, const Pipeline& pipeline, WeightSource source,
                                 const std::vector<std::string>& only, std::int64_t further_features)
    : source_(std::move(source)) {
  compare_features(pipeline, further_features);
  std::vector<std::string> own, offered;
  const std::vector<Module::Named> parameters = model.parameters();
  for (const Module::Named& each : parameters) own.push_back(each.name);
  for (const NamedTensor& tensor : source_.tensors) offered.push_back(tensor.name);
  const ParameterNames names(own), others(offered);
  for (const std::string& pattern : only) names.require("train.init_only", pattern);
  const std::int64_t other_tokens = has_other_tokens(pipeline.tokens, source_.pipeline.tokens) ? pipeline.tokens.tokeniser().size() : -1;
  bool is_first = true;  // the first weight reads features
  for (const auto& [name, parameter] : parameters) {
    const Shape& shape = parameter->shape();
    const bool reads_features = is_first && shape.rank() == 2 && shape[1] == pipeline.features() + further_features;
    is_first = is_first && shape.rank() != 2;
    if (!only.empty() && !names.is_meant(only, name))
      lines_.push_back({TransferLine::Outcome::not_loaded, name, "not asked for"});
    else if (shape.rank() > 0 && shape[0] == other_tokens)
      lines_.push_back({TransferLine::Outcome::not_loaded, name, "a row a token, and the two texts have other tokens"});
    else if (const std::string why = plan(name, shape, dtype, reads_features); !why.empty())
      lines_.push_back({TransferLine::Outcome::not_loaded, name, why});
  }
  for (const std::string& name : offered)
    if (std::find(own.begin(), own.end(), name) == own.end())
      lines_.push_back({TransferLine::Outcome::unused, name, "the new model has no such name"});
  if (!copies_.empty()) return;
  std::string reasons;
  for (const TransferLine& line : lines_)
    if (line.outcome == TransferLine::Outcome::not_loaded && line.why != "not asked for")
      reasons += fmt::format("; {}: {}", line.name, line.why);
  throw UsageError(fmt::format("train.init_from = {}: nothing can be loaded{}. The new model has {}; the run has {}", source_.where,
                               reasons, names.text(), others.text()));
}

void StartingWeights::compare_features(const Pipeline& pipeline, std::int64_t further) {
  const auto old = origins(source_.pipeline);
  std::set<std::string> otherwise;
  for (const FittedColumn& column : pipeline.columns) {
    std::vector<std::string> names;
    column.add_names(names);
    for (const std::string& name : names) {
      const auto found = old.find(name);
      const bool is_known = found != old.end() && has_one_meaning(column, *found->second.column);
      columns_.push_back(is_known ? static_cast<std::int64_t>(found->second.feature) : -1);
      if (!is_known) unknown_.push_back(name);
      if (is_known && !is_encoded_alike(column, *found->second.column)) otherwise.insert(column.name);
    }
  }
  columns_.insert(columns_.end(), static_cast<std::size_t>(further), -1);
  if (further > 0) unknown_.push_back(fmt::format("{} of other tables", further));
  encoded_otherwise_.assign(otherwise.begin(), otherwise.end());
}

/// Empty: it is loaded; else why not.
std::string StartingWeights::plan(const std::string& name, const Shape& shape, DType dtype, bool reads_features) {
  const auto found = std::find_if(source_.tensors.begin(), source_.tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  if (found == source_.tensors.end()) return "the run has no such name";
  if (found->dtype != dtype)
    return fmt::format("other type: {} there, {} here", text_of(found->dtype, found->shape), text_of(dtype, shape));
  std::vector<std::int64_t> same(columns_.size());
  std::iota(same.begin(), same.end(), std::int64_t{0});
  const bool read_features = found->shape.rank() == 2 && found->shape[1] == source_.pipeline.features();
  if (reads_features && read_features && found->shape[0] == shape[0] && (columns_ != same || found->shape[1] != shape[1])) {
    const auto known = static_cast<std::size_t>(std::count_if(columns_.begin(), columns_.end(), [](std::int64_t c) { return c >= 0; }));
    if (known == 0) return "the two tables have no feature of one name and meaning";
    lines_.push_back({TransferLine::Outcome::mapped, name,
                      fmt::format("{} of {} features by name, of {} there{}{}", known, columns_.size(), found->shape[1],
                                  unknown_.empty() ? "" : "; these start anew: ", some_of(unknown_))});
    copies_.push_back({*found, columns_});
    return "";
  }
  if (found->shape != shape) return fmt::format("other shape: {} there, {} here", found->shape.text(), shape.text());
  lines_.push_back({TransferLine::Outcome::loaded, name, ""});
  copies_.push_back({*found, {}});
  return "";
}

void StartingWeights::write(const FlatParams& params) const {
  const auto bytes = static_cast<std::ptrdiff_t>(size_bytes(params.dtype()));
  for (const Copy& copy : copies_) {
    const auto entry = std::find_if(params.entries().begin(), params.entries().end(),
                                    [&](const FlatParams::Entry& e) { return e.name == copy.from.name; });
    const Buffer part = params.values().part(entry->first, entry->count);
    auto* to = part.as<std::byte>();
    const auto* from = static_cast<const std::byte*>(copy.from.data);
    if (copy.columns.empty()) {
      std::memcpy(to, from, part.bytes());
      continue;
    }
    for (std::int64_t row = 0; row < copy.from.shape[0]; ++row, to += bytes * static_cast<std::ptrdiff_t>(copy.columns.size()))
      for (std::size_t c = 0; c < copy.columns.size(); ++c)
        if (copy.columns[c] >= 0)
          std::memcpy(to + bytes * static_cast<std::ptrdiff_t>(c), from + bytes * (row * copy.from.shape[1] + copy.columns[c]),
                      static_cast<std::size_t>(bytes));
  }
}

std::string StartingWeights::text() const {
  std::vector<std::string> loaded, rest;
  for (const TransferLine& line : lines_) {
    if (line.outcome == TransferLine::Outcome::loaded) loaded.push_back(line.name);
    if (line.outcome == TransferLine::Outcome::mapped) loaded.push_back(line.name + " (" + line.why + ")");
    if (line.outcome == TransferLine::Outcome::not_loaded) rest.push_back(line.name + ": " + line.why);
    if (line.outcome == TransferLine::Outcome::unused) rest.push_back("unused: " + line.name);
  }
  std::string out = "starts with weights of " + source_.where + ": " + some_of(loaded);
  if (!rest.empty()) out += "; not " + some_of(rest);
  return out;
}

}  // namespace chorale
