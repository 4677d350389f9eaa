#include <chorale/core/data/encode.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/feature_hash.hpp>

namespace chorale {
namespace {

int position_of(const std::vector<ColumnSchema>& schema, const std::string& column) {
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (schema[i].name == column) return static_cast<int>(i);
  }
  return -1;
}

bool holds_numbers(ColumnType type) { return type == ColumnType::number || type == ColumnType::date; }

// Where the value lies among the fitted quantiles, as a standard normal. Ties stand in the middle of their run.
double to_normal(const std::vector<double>& quantiles, double value) {
  const auto steps = static_cast<double>(quantiles.size() - 1);
  const auto low = std::lower_bound(quantiles.begin(), quantiles.end(), value), high = std::upper_bound(low, quantiles.end(), value);
  double at = 0;
  if (low != high) {
    at = 0.5 * static_cast<double>((low - quantiles.begin()) + (high - quantiles.begin() - 1));
  } else if (low == quantiles.end()) {
    at = steps;
  } else if (low != quantiles.begin()) {
    at = static_cast<double>(low - quantiles.begin() - 1) + (value - *(low - 1)) / (*low - *(low - 1));
  }
  return normal_quantile(std::clamp(at / steps, 5e-4, 1 - 5e-4));  // half a step of the finest grid: within 3.3
}

}  // namespace

// Source: P. J. Acklam's rational approximation (relative error 1.2e-9), one Halley step on erfc.
double normal_quantile(double p) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
                          -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  if (p > 0.5) return -normal_quantile(1 - p);
  double x = 0;
  if (p < 0.02425) {
    const double q = std::sqrt(-2 * std::log(p));
    x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  } else {
    const double q = p - 0.5, r = q * q;
    x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
        (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  const double e = 0.5 * std::erfc(-x / std::sqrt(2.0)) - p;
  const double u = e * std::sqrt(2 * 3.14159265358979323846) * std::exp(x * x / 2);
  return x - u / (1 + x * u / 2);
}

Encoder::Encoder(const Pipeline& pipeline, const std::vector<ColumnSchema>& schema, const AddedFeatures* added)
    : pipeline_(pipeline), schema_(schema), features_(pipeline.features()), added_(added) {
  if (pipeline.published.count() != (added ? added->width() : 0)) throw InternalError("published features and who gives them do not fit");
  for (const FittedColumn& column : pipeline.columns) {
    const int source = position_of(schema, column.name);
    if (source < 0) throw DataError("the model needs column '" + column.name + "', which the file lacks; add it (it may be empty)");
    const ColumnType type = schema[static_cast<std::size_t>(source)].type;
    const bool fits = type == column.type || (column.type == ColumnType::category && type == ColumnType::text);
    if (!fits) throw DataError("column '" + column.name + "' is of another type than in training; read the file with the model's schema");
    sources_.push_back(source);
  }
  for (const FittedTarget& target : pipeline.targets) targets_.push_back(position_of(schema, target.name));
  if (!pipeline.weight.empty()) weight_ = position_of(schema, pipeline.weight);
}

bool Encoder::has_target() const {
  return std::any_of(targets_.begin(), targets_.end(), [](int at) { return at >= 0; });
}

template <class T>
void Encoder::encode_number(const FittedColumn& column, const ColumnChunk& values, std::int64_t first_row, T* out) const {
  for (std::size_t i = 0; i < values.numbers.size(); ++i, out += features_) {
    double value = values.numbers[i];
    const bool missing = std::isnan(value);
    if (column.date_part >= 0) value = date_part(value, column.date_part);
    if (column.log1p) value = signed_log1p(value);
    if (missing) value = column.fill;
    std::int64_t width = 1;
    if (column.scale == Scale::quantile_bins) {
      width = static_cast<std::int64_t>(column.quantiles.size()) + 1;
      out[std::upper_bound(column.quantiles.begin(), column.quantiles.end(), value) - column.quantiles.begin()] = 1;
    } else {
      const double scaled =
          column.scale == Scale::quantile_normal ? to_normal(column.quantiles, value) : (value - column.shift) * column.factor;
      out[0] = static_cast<T>(scaled);
      if (!std::isfinite(out[0])) {
        throw DataError("row " + std::to_string(first_row + static_cast<std::int64_t>(i) + 1) + ": column '" + column.name + "' holds " +
                        number_name(values.numbers[i]) + ", too large for " + std::string(chorale::name(dtype_of<T>)) +
                        "; scale it (data.log1p) or correct the row");
      }
    }
    if (column.indicator) out[width] = missing ? T(1) : T(0);
  }
}

template <class T>
void Encoder::encode_category(const FittedColumn& column, const ColumnChunk& values, T* out) const {
  std::map<std::string_view, int> slot_of;
  for (std::size_t i = 0; i < column.categories.size(); ++i) slot_of.emplace(column.categories[i], static_cast<int>(i));
  const bool hashing = column.code == CategoryCode::hashing;
  const auto bucket = [&](std::string_view text) { return static_cast<int>(hash_text(text) % static_cast<std::uint64_t>(column.buckets)); };
  std::vector<int> slots;  // by the chunk's code
  for (const std::string& text : values.dictionary) {
    const auto it = slot_of.find(text);
    slots.push_back(hashing ? bucket(text) : it == slot_of.end() ? column.other() : it->second);
  }
  int missing = column.missing_as;
  if (hashing) missing = missing < column.other() ? bucket(column.categories[static_cast<std::size_t>(missing)]) : bucket("");
  const T step = T(1) / static_cast<T>(std::max(1, column.slots() - 1));
  for (const std::int32_t code : values.codes) {
    const int slot = code < 0 ? missing : slots[static_cast<std::size_t>(code)];
    if (column.code == CategoryCode::ordinal)
      out[0] = static_cast<T>(slot) * step;
    else
      out[slot] = 1;
    out += features_;
  }
}

template <class T>
void Encoder::encode_target(std::size_t target, const TableChunk& chunk, T* out) const {
  const FittedTarget& fitted = pipeline_.targets[target];
  const bool may_lack = targets_.size() > 1;
  if (targets_[target] < 0) {
    std::fill_n(out, chunk.rows, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  const auto source = static_cast<std::size_t>(targets_[target]);
  const ColumnChunk& values = chunk.columns[source];
  const bool numbers = holds_numbers(schema_[source].type);
  const auto fail = [&](std::int64_t i, const std::string& what) {
    throw DataError("row " + std::to_string(chunk.first_row + i + 1) + ": the target '" + fitted.name + "' " + what);
  };
  std::map<std::string, int> id_of;
  for (std::size_t i = 0; i < fitted.classes.size(); ++i) id_of.emplace(fitted.classes[i], static_cast<int>(i));
  std::map<double, int> id_of_number;
  std::vector<int> ids;
  const TargetRule positive(fitted.positive);
  const auto id_named = [&](const std::string& name) {
    const auto it = id_of.find(name);
    return it == id_of.end() ? -1 : it->second;
  };
  for (const std::string& text : values.dictionary) ids.push_back(id_named(positive.is_empty() ? text : positive.holds(text) ? "1" : "0"));
  for (std::int64_t i = 0; i < chunk.rows; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (numbers ? std::isnan(values.numbers[at]) : values.codes[at] < 0) {
      if (!may_lack) fail(i, "is missing; remove the row or fill the target in");
      out[i] = std::numeric_limits<T>::quiet_NaN();
      continue;
    }
    if (fitted.kind == TargetKind::value) {
      if (!numbers) fail(i, "is not a number");
      out[i] = static_cast<T>(values.numbers[at]);
      continue;
    }
    int id = -1;
    if (numbers) {
      const double value = values.numbers[at] == 0 ? 0.0 : values.numbers[at];
      const auto [it, fresh] = id_of_number.emplace(value, -1);
      if (fresh) it->second = id_named(positive.is_empty() ? number_name(value) : positive.holds(value) ? "1" : "0");
      id = it->second;
    } else {
      id = ids[static_cast<std::size_t>(values.codes[at])];
    }
    if (id < 0) {
      fail(i, "is '" + (numbers ? number_name(values.numbers[at]) : values.dictionary[static_cast<std::size_t>(values.codes[at])]) +
                  "', a class that no training row has; use data.split = stratified, or remove the row");
    }
    out[i] = static_cast<T>(id);
  }
}

template <class T>
void Encoder::encode_rows(const TableChunk& chunk, const EncodedRowsOf<T>& out) const {
  if (out.x) {
    std::fill_n(out.x, chunk.rows * features_, T(0));
    T* x = out.x;
    for (std::size_t c = 0; c < sources_.size(); ++c) {
      const FittedColumn& column = pipeline_.columns[c];
      const ColumnChunk& values = chunk.columns[static_cast<std::size_t>(sources_[c])];
      if (column.type == ColumnType::category)
        encode_category(column, values, x);
      else
        encode_number(column, values, chunk.first_row, x);
      x += column.width();
    }
    if (added_) {
      std::vector<float> values(static_cast<std::size_t>(added_->width()));
      for (std::int64_t r = 0; r < chunk.rows; ++r, x += features_) {
        added_->fill(chunk.first_row + r, values.data());
        std::copy(values.begin(), values.end(), x);
      }
    }
  }
  for (std::size_t t = 0; out.target && has_target() && t < targets_.size(); ++t)
    encode_target(t, chunk, out.target + static_cast<std::int64_t>(t) * out.target_stride);
  if (out.weight && has_weight()) {
    const std::vector<double>& weights = chunk.columns[static_cast<std::size_t>(weight_)].numbers;
    std::transform(weights.begin(), weights.end(), out.weight, [](double w) { return static_cast<T>(w); });
  }
}

template void Encoder::encode_rows(const TableChunk&, const EncodedRowsOf<float>&) const;
template void Encoder::encode_rows(const TableChunk&, const EncodedRowsOf<double>&) const;

}  // namespace chorale
