#include <chorale/train/data/row_times.hpp>

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/data/csv_date.hpp>

namespace chorale {

namespace {

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr std::array<Unit, 5> kUnits = {{{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 604800}}};

bool read_number(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace

Period parse_period(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  double count = 1;
  const bool counted = !words.empty() && read_number(words[0], count);
  if (counted && words.size() == 1 && count > 0) return {count, true};
  if (words.size() == (counted ? 2u : 1u) && count > 0) {
    std::string_view unit = words.back();
    if (unit.ends_with('s')) unit.remove_suffix(1);
    for (const Unit& known : kUnits)
      if (unit == known.name) return {count * known.seconds, false};
  }
  throw UsageError("collab.period = " + text +
                   " is refused: write week, day, 12 hours, 30 minutes, or a number in the units of a column of numbers");
}

Cutoff parse_cutoff(const std::string& text, const std::string& key) {
  double number = 0;
  if (read_number(text, number)) return {number, false};
  const DateRead date = read_date(text);
  if (date.fits[0]) return {date.seconds[0], true};
  throw UsageError(key + ": '" + text + "' is neither a date such as 2011-10-01 nor a number");
}

RowTimes::RowTimes(const TimeRequest& request, ColumnType type, std::vector<double> times)
    : times_(std::move(times)), parts_rows_(!request.cutoffs.empty()) {
  const bool is_date = type == ColumnType::date;
  const std::string what = fmt::format("column '{}' holds {}", request.column, is_date ? "dates" : "numbers");
  if (!is_date && type != ColumnType::number)
    throw UsageError("collab.time: column '" + request.column +
                     "' holds neither dates nor numbers, or is in data.id or "
                     "data.drop; name it in data.date, or another one");
  const Period period = parse_period(request.period);
  if (period.is_number == is_date)
    throw UsageError("collab.period = " + request.period + ": " + what + (is_date ? "; write 7 days" : "; write a number in its units"));
  length_ = period.length;
  for (std::size_t i = 0; i < request.cutoffs.size(); ++i) {
    const Cutoff cutoff = parse_cutoff(request.cutoffs[i], "collab.split");
    if (cutoff.is_date != is_date)
      throw UsageError("collab.split: cut-off " + request.cutoffs[i] + " and " + what + "; give a " + (is_date ? "date" : "number"));
    cutoffs_[i] = cutoff.value;
  }
  for (std::size_t row = 0; row < times_.size(); ++row) {
    if (std::isnan(times_[row]))
      throw DataError(fmt::format("row {} has no value in '{}', which says when it happened; fill it in, or leave the row out", row + 1,
                                  request.column));
    if (!(std::fabs(times_[row] - cutoffs_[0]) / length_ < std::numeric_limits<std::int32_t>::max()))
      throw DataError(fmt::format("row {} lies more than 2^31 periods away from period 0; take a longer collab.period", row + 1));
  }
}

std::vector<Part> RowTimes::parts() const {
  std::vector<Part> out;
  out.reserve(times_.size());
  for (const double time : times_) out.push_back(time < cutoffs_[0] ? Part::train : time < cutoffs_[1] ? Part::validation : Part::test);
  return out;
}

std::vector<std::int32_t> RowTimes::periods() const {
  std::vector<std::int32_t> out;
  out.reserve(times_.size());
  for (const double time : times_) out.push_back(static_cast<std::int32_t>(std::floor((time - cutoffs_[0]) / length_)));
  return out;
}

std::int32_t RowTimes::first_after_training() const { return parts_rows_ ? 0 : std::numeric_limits<std::int32_t>::max(); }

RowTimes row_times(SharedTable& table, const TimeRequest& request) {
  const auto column = static_cast<std::size_t>(find_column(table.plan().schema, request.column));
  const ColumnType type = table.plan().schema[column].type;
  const bool has_numbers = type == ColumnType::number || type == ColumnType::date;  // RowTimes refuses others
  std::vector<double> times;
  if (has_numbers)
    for (const std::uint64_t bits : table.row_values("times", [&](const TableChunk& chunk) {
           std::vector<std::uint64_t> each;
           for (const double time : chunk.columns[column].numbers) each.push_back(std::bit_cast<std::uint64_t>(time));
           return each;
         }))
      times.push_back(std::bit_cast<double>(bits));
  return RowTimes(request, type, std::move(times));
}

}  // namespace chorale
