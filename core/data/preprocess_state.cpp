#include <chorale/core/data/preprocess_state.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include <chorale/core/base/random.hpp>

namespace chorale {

const char* const kDatePartNames[kDateParts] = {"year", "month", "day", "weekday", "hour"};

double date_part(double seconds, int part) {
  if (std::isnan(seconds)) return seconds;
  using namespace std::chrono;
  const auto days_since = static_cast<std::int64_t>(std::floor(seconds / 86400.0));
  const sys_days day{days{static_cast<int>(days_since)}};
  const year_month_day date{day};
  switch (part) {
    case 0:
      return static_cast<int>(date.year());
    case 1:
      return static_cast<unsigned>(date.month());
    case 2:
      return static_cast<unsigned>(date.day());
    case 3:
      return weekday{day}.iso_encoding() - 1;
    default:
      return std::floor((seconds - static_cast<double>(days_since) * 86400.0) / 3600.0);
  }
}

double signed_log1p(double value) { return std::copysign(std::log1p(std::abs(value)), value); }

std::string number_name(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

FitState::FitState(const PreprocessPlan& plan, std::int64_t total_rows) : plan_(plan), total_rows_(total_rows) {
  for (const ColumnPlan& column : plan.features) {
    ColumnState& state = columns_.emplace_back();
    if (column.type != ColumnType::category) state.numbers.resize(column.type == ColumnType::date ? kDateParts : 1);
  }
  for (const TargetPlan& target : plan.targets)
    if (targets_.emplace_back(); target.kind == TargetKind::value) targets_.back().numbers.resize(1);
}

bool FitState::draws(std::int64_t row) const {
  constexpr double kSample = 1e6;
  if (static_cast<double>(total_rows_) <= kSample) return true;
  const std::uint64_t bits = mix(0x7175616E74696C65u, static_cast<std::uint64_t>(row));
  return static_cast<double>(bits >> 11) * 0x1p-53 < kSample / static_cast<double>(total_rows_);
}

void FitState::update_number(NumberState& state, double value, bool keeps) const {
  if (std::isnan(value)) {
    ++state.missing;
    return;
  }
  value += 0.0;  // one zero: whether -0 or 0 came first must not show
  state.moments.add(value);
  state.min = std::min(state.min, value);
  state.max = std::max(state.max, value);
  if (keeps) state.values.push_back(value);
}

void FitState::update_column(const ColumnPlan& plan, ColumnState& state, const TableChunk& chunk, std::span<const Part> parts) {
  const ColumnChunk& values = chunk.columns[static_cast<std::size_t>(plan.source)];
  if (plan.type == ColumnType::category) {
    std::vector<std::int64_t> counts(values.dictionary.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i] != Part::train) continue;
      if (values.codes[i] < 0)
        ++state.missing;
      else
        ++counts[static_cast<std::size_t>(values.codes[i])];
    }
    for (std::size_t c = 0; c < counts.size(); ++c) {
      if (counts[c] > 0) state.counts[values.dictionary[c]] += counts[c];
    }
    return;
  }
  const bool quantiles = plan.needs_quantiles(plan_.impute);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] != Part::train) continue;
    const double value = values.numbers[i];
    if (std::isinf(value)) {
      throw DataError("row " + std::to_string(chunk.first_row + static_cast<std::int64_t>(i) + 1) + ": column '" + plan.name +
                      "' is infinite; correct the row or list its text in data.missing");
    }
    if (plan.type == ColumnType::date) {
      for (int p = 0; p < kDateParts; ++p)
        update_number(state.numbers[static_cast<std::size_t>(p)], date_part(value, p),
                      quantiles && draws(chunk.first_row + static_cast<std::int64_t>(i)));
    } else {
      update_number(state.numbers[0], plan.log1p ? signed_log1p(value) : value,
                    quantiles && draws(chunk.first_row + static_cast<std::int64_t>(i)));
    }
  }
}

void FitState::update_target(const TargetPlan& plan, ColumnState& state, const TableChunk& chunk, std::span<const Part> parts) {
  const auto source = static_cast<std::size_t>(plan.source);
  const ColumnChunk& values = chunk.columns[source];
  const ColumnType type = plan_.schema[source].type;
  const bool numbers = type == ColumnType::number || type == ColumnType::date, may_lack = plan_.targets.size() > 1;
  std::vector<std::int64_t> counts(values.dictionary.size());
  std::map<double, std::int64_t> of_number;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool missing = numbers ? std::isnan(values.numbers[i]) : values.codes[i] < 0;
    if ((missing && !may_lack) || (numbers && std::isinf(values.numbers[i]))) {
      throw DataError("row " + std::to_string(chunk.first_row + static_cast<std::int64_t>(i) + 1) + ": the target '" +
                      plan_.schema[source].name + "' is missing or not finite; remove such rows or fill the target in");
    }
    if (parts[i] != Part::train) continue;
    if (missing)
      ++state.missing;
    else if (plan.kind == TargetKind::value)
      update_number(state.numbers[0], values.numbers[i], false);
    else if (numbers)
      ++of_number[values.numbers[i] == 0 ? 0.0 : values.numbers[i]];
    else
      ++counts[static_cast<std::size_t>(values.codes[i])];
  }
  const TargetRule& positive = plan.positive;
  for (const auto& [value, count] : of_number)
    state.counts[positive.is_empty() ? number_name(value) : positive.holds(value) ? "1" : "0"] += count;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    const std::string& text = values.dictionary[c];
    if (counts[c] > 0) state.counts[positive.is_empty() ? text : positive.holds(text) ? "1" : "0"] += counts[c];
  }
}

void FitState::check_weight(const TableChunk& chunk) const {
  const auto source = static_cast<std::size_t>(plan_.weight);
  const std::vector<double>& weights = chunk.columns[source].numbers;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= 0 && std::isfinite(weights[i])) continue;
    throw DataError("row " + std::to_string(chunk.first_row + static_cast<std::int64_t>(i) + 1) + ": the weight '" +
                    plan_.schema[source].name + "' is " + number_name(weights[i]) + "; weights are finite and not negative");
  }
}

void FitState::update(const TableChunk& chunk, std::span<const Part> parts) {
  if (static_cast<std::int64_t>(parts.size()) != chunk.rows) throw InternalError("a chunk and its parts differ in rows");
  rows_ += std::count(parts.begin(), parts.end(), Part::train);
  for (std::size_t c = 0; c < columns_.size(); ++c) update_column(plan_.features[c], columns_[c], chunk, parts);
  for (std::size_t t = 0; t < targets_.size(); ++t) update_target(plan_.targets[t], targets_[t], chunk, parts);
  if (plan_.weight >= 0) check_weight(chunk);
}

namespace {

void put_column(Bytes& out, const ColumnState& column) {
  put(out, column.missing);
  for (const NumberState& number : column.numbers) {
    put(out, number.missing);
    number.moments.write(out);
    put(out, number.min);
    put(out, number.max);
    put_values<double>(out, number.values);
  }
  put(out, static_cast<std::uint64_t>(column.counts.size()));
  for (const auto& [text, count] : column.counts) {
    put_text(out, text);
    put(out, count);
  }
}

void merge_column(std::span<const std::byte>& in, ColumnState& column) {
  column.missing += take<std::int64_t>(in);
  for (NumberState& number : column.numbers) {
    number.missing += take<std::int64_t>(in);
    ExactMoments moments;
    moments.read(in);
    number.moments.merge(moments);
    number.min = std::min(number.min, take<double>(in));
    number.max = std::max(number.max, take<double>(in));
    const std::vector<double> values = take_values<double>(in);
    number.values.insert(number.values.end(), values.begin(), values.end());
  }
  for (auto n = take<std::uint64_t>(in); n > 0; --n) {
    std::string text = take_text(in);
    column.counts[std::move(text)] += take<std::int64_t>(in);
  }
}

}  // namespace

Bytes FitState::state() const {
  Bytes out;
  put(out, rows_);
  for (const ColumnState& column : columns_) put_column(out, column);
  for (const ColumnState& target : targets_) put_column(out, target);
  return out;
}

void FitState::merge(std::span<const std::byte> in) {
  rows_ += take<std::int64_t>(in);
  for (ColumnState& column : columns_) merge_column(in, column);
  for (ColumnState& target : targets_) merge_column(in, target);
}

}  // namespace chorale
