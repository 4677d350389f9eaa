#include <chorale/core/data/pipeline.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace chorale {
namespace {

std::optional<double> as_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// Linear between order statistics (type 7 of Hyndman & Fan 1996, as NumPy).
double quantile(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  if (low + 1 >= sorted.size()) return sorted.back();
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[low + 1] - sorted[low]);
}

double inverse(double spread) { return spread > 0 && std::isfinite(1 / spread) ? 1 / spread : 1; }

void fit_scale(FittedColumn& column, const NumberState& state, const std::vector<double>& sorted, std::int64_t bins) {
  if (state.moments.count() == 0) {
    column.scale = Scale::none;  // all missing: a constant fill, nothing to scale by
    return;
  }
  switch (column.scale) {
    case Scale::none:
      break;
    case Scale::standardise:
      column.shift = state.moments.mean();
      column.factor = inverse(std::sqrt(state.moments.variance()));
      break;
    case Scale::minmax:
      column.shift = state.min;
      column.factor = inverse(state.max - state.min);
      break;
    case Scale::robust:
      column.shift = quantile(sorted, 0.5);
      column.factor = inverse(quantile(sorted, 0.75) - quantile(sorted, 0.25));
      break;
    case Scale::quantile_normal: {
      const std::size_t steps = std::clamp<std::size_t>(sorted.size(), 2, 1001) - 1;
      for (std::size_t i = 0; i <= steps; ++i)
        column.quantiles.push_back(quantile(sorted, static_cast<double>(i) / static_cast<double>(steps)));
      break;
    }
    case Scale::quantile_bins:
      for (std::int64_t i = 1; i < bins; ++i)
        column.quantiles.push_back(quantile(sorted, static_cast<double>(i) / static_cast<double>(bins)));
      column.quantiles.erase(std::unique(column.quantiles.begin(), column.quantiles.end()), column.quantiles.end());
      break;
  }
}

// The smallest of the most frequent, as scikit-learn.
double most_frequent(const std::vector<double>& sorted) {
  double best = sorted.front();
  std::size_t most = 0;
  for (std::size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    while (end < sorted.size() && sorted[end] == sorted[begin]) ++end;
    if (end - begin > most) most = end - begin, best = sorted[begin];
  }
  return best;
}

double fill_of(const PreprocessPlan& plan, const ColumnPlan& column, const NumberState& state, const std::vector<double>& sorted) {
  // One constant cannot be a year and an hour: parts of a date take the mean then.
  if (plan.impute == Impute::constant && column.type == ColumnType::number)
    return column.log1p ? signed_log1p(plan.impute_value) : plan.impute_value;
  if (plan.impute == Impute::median && !sorted.empty()) return quantile(sorted, 0.5);
  if (plan.impute == Impute::most_frequent && !sorted.empty()) return most_frequent(sorted);
  return state.moments.mean();
}

FittedColumn fit_number(const PreprocessPlan& plan, const ColumnPlan& column, const NumberState& state) {
  FittedColumn out;
  out.name = column.name, out.type = column.type, out.scale = column.scale, out.log1p = column.log1p;
  std::vector<double> sorted = state.values;
  std::sort(sorted.begin(), sorted.end());
  out.fill = fill_of(plan, column, state, sorted);
  out.indicator = plan.missing_indicator && state.missing > 0;
  // A large table's drawn values may be none at all for a column that is nearly always missing.
  if (sorted.empty() && column.needs_quantiles(plan.impute) && out.scale != Scale::standardise && out.scale != Scale::minmax) {
    sorted = {state.min, state.max};
  }
  fit_scale(out, state, sorted, plan.bins);
  return out;
}

FittedColumn fit_category(const PreprocessPlan& plan, const ColumnPlan& column, const ColumnState& state) {
  FittedColumn out;
  out.name = column.name, out.type = ColumnType::category, out.code = column.code;
  out.scale = Scale::none;
  if (column.code == CategoryCode::hashing) out.buckets = plan.hash_buckets;
  std::map<std::string, std::int64_t> frequent;
  for (const auto& [text, count] : state.counts) {
    if (count >= plan.min_frequency) frequent.emplace(text, count);
  }
  out.categories = sorted_names(frequent);
  out.missing_as = out.other();
  if (plan.impute_most_frequent) {
    std::int64_t best = 0;
    for (std::size_t i = 0; i < out.categories.size(); ++i) {
      if (frequent[out.categories[i]] > best) best = frequent[out.categories[i]], out.missing_as = static_cast<int>(i);
    }
  } else if (state.missing > 0) {
    out.missing_slot = true;
    out.missing_as = out.other() + 1;
  }
  return out;
}

FittedTarget fit_target(const PreprocessPlan& plan, const TargetPlan& target, const ColumnState& state, std::int64_t rows) {
  FittedTarget out{.name = plan.schema[static_cast<std::size_t>(target.source)].name, .kind = target.kind};
  out.positive = target.positive.words();
  const std::string what = "data.target: column '" + out.name + "' ";
  const std::string among = " in the " + std::to_string(rows - state.missing) + " training rows" + (state.missing ? " that have it" : "");
  if (rows == state.missing) throw DataError(what + "is missing in all training rows; there is nothing to learn");
  if (target.kind == TargetKind::value) {
    const NumberState& number = state.numbers[0];
    if (number.min == number.max) throw DataError(what + "is always " + number_name(number.min) + among + "; there is nothing to learn");
    return out;
  }
  out.classes = sorted_names(state.counts);
  for (const std::string& text : out.classes) out.class_rows.push_back(state.counts.at(text));
  if (out.classes.size() < 2) {
    throw DataError(what + "is always '" + (out.classes.empty() ? "" : out.classes[0]) + "'" + among + "; two classes at least are needed");
  }
  if (target.kind == TargetKind::binary && out.classes.size() > 2) {
    throw DataError(what + "has " + std::to_string(out.classes.size()) + " values (" + out.classes[0] + ", " + out.classes[1] + ", " +
                    out.classes[2] + ", ...), but binary_cross_entropy takes two; use train.loss = cross_entropy");
  }
  if (out.classes.size() > 10000) {
    throw DataError(what + "has " + std::to_string(out.classes.size()) + " classes; at most 10000 are taken, use mse for a value");
  }
  return out;
}

}  // namespace

std::vector<std::string> sorted_names(const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::pair<double, std::string>> names;
  bool numeric = true;
  for (const auto& [text, count] : counts) {
    const auto value = as_number(text);
    numeric = numeric && value.has_value();
    names.emplace_back(value.value_or(0), text);
  }
  if (numeric) std::sort(names.begin(), names.end());
  std::vector<std::string> out;
  for (auto& [value, text] : names) out.push_back(std::move(text));
  return out;
}

std::int64_t FittedColumn::width() const {
  if (type == ColumnType::category) {
    if (code == CategoryCode::ordinal) return 1;
    return code == CategoryCode::hashing ? buckets : slots();
  }
  return (scale == Scale::quantile_bins ? static_cast<std::int64_t>(quantiles.size()) + 1 : 1) + (indicator ? 1 : 0);
}

void FittedColumn::add_names(std::vector<std::string>& out) const {
  if (type == ColumnType::category && code == CategoryCode::one_hot) {
    for (const std::string& category : categories) out.push_back(name + "=" + category);
    out.push_back(name + "=(other)");
    if (missing_slot) out.push_back(name + "=(missing)");
    return;
  }
  const std::string full = date_part < 0 ? name : name + "." + kDatePartNames[date_part];
  const bool several = type == ColumnType::category ? code == CategoryCode::hashing : scale == Scale::quantile_bins;
  const std::int64_t values = width() - (indicator ? 1 : 0);
  for (std::int64_t i = 0; i < values; ++i) out.push_back(several ? full + "#" + std::to_string(i) : full);
  if (indicator) out.push_back(full + " is missing");
}

void PublishedFeatures::add_names(std::vector<std::string>& out) const {
  for (const std::string& task : tasks) {
    for (std::int64_t i = 0; i < width; ++i) out.push_back(task + "." + kind + "#" + std::to_string(i));
    out.push_back(task + "." + kind + " is known");
  }
}

std::int64_t Pipeline::features() const {
  std::int64_t n = array.is_there() ? array.row_shape.elements() : 0;
  for (const FittedColumn& column : columns) n += column.width();
  return n + published.count();
}

std::vector<std::string> Pipeline::feature_names() const {
  std::vector<std::string> out;
  for (const FittedColumn& column : columns) column.add_names(out);
  published.add_names(out);
  return out;
}

std::vector<std::string> Pipeline::target_names() const {
  std::vector<std::string> out;
  for (const FittedTarget& target : targets) out.push_back(target.name);
  return out;
}

Pipeline fit_pipeline(const PreprocessPlan& plan, const FitState& state) {
  Pipeline out;
  out.schema = plan.schema;
  out.left_out = plan.left_out;
  out.training_rows = state.rows();
  if (plan.weight >= 0) out.weight = plan.schema[static_cast<std::size_t>(plan.weight)].name;
  for (const int id : plan.ids) out.ids.push_back(plan.schema[static_cast<std::size_t>(id)].name);
  for (std::size_t c = 0; c < plan.features.size(); ++c) {
    const ColumnPlan& column = plan.features[c];
    const ColumnState& fitted = state.columns()[c];
    if (column.type == ColumnType::category) out.columns.push_back(fit_category(plan, column, fitted));
    if (column.type == ColumnType::number) out.columns.push_back(fit_number(plan, column, fitted.numbers[0]));
    if (column.type != ColumnType::date) continue;
    for (int p = 0; p < kDateParts; ++p) {
      ColumnPlan part = column;
      part.scale = Scale::standardise;
      FittedColumn one = fit_number(plan, part, fitted.numbers[static_cast<std::size_t>(p)]);
      one.date_part = p;
      one.indicator = one.indicator && p == 0;  // all parts miss together
      out.columns.push_back(std::move(one));
    }
  }
  for (std::size_t t = 0; t < plan.targets.size(); ++t)
    out.targets.push_back(fit_target(plan, plan.targets[t], state.targets()[t], state.rows()));
  return out;
}

}  // namespace chorale
