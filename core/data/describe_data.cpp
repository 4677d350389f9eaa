#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/csv_date.hpp>
#include <chorale/core/data/csv_number.hpp>
#include <chorale/core/data/describe.hpp>

namespace chorale {

namespace {

class Stopwatch {
 public:
  template <class Action>
  auto time(Action&& action) {
    struct Add {
      double& seconds;
      std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
      ~Add() { seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
    } add{seconds_};
    return action();
  }
  double seconds() const { return seconds_; }

 private:
  double seconds_ = 0;
};

// Statistics of one column over all chunks.
struct Summary {
  std::int64_t rows = 0, count = 0;
  double min = std::numeric_limits<double>::infinity(), max = -min, sum = 0;
  bool whole = true;
  Distinct distinct;
  std::vector<std::string> examples;

  void add(const ColumnChunk& chunk, bool date) {
    rows += static_cast<std::int64_t>(chunk.numbers.size() + chunk.codes.size());
    for (double value : chunk.numbers)
      if (!std::isnan(value)) add_number(value, date);
    for (std::int32_t code : chunk.codes) count += code >= 0;
    for (const std::string& word : chunk.dictionary) {
      distinct.add(hash_bytes(word));
      add_example(word);
    }
  }

 private:
  void add_number(double value, bool date) {
    ++count;
    min = std::min(min, value);
    max = std::max(max, value);
    sum += value;
    whole = whole && value == std::floor(value);
    std::uint64_t bits = 0;
    const double plain = value + 0.0;  // -0 is 0
    std::memcpy(&bits, &plain, sizeof bits);
    distinct.add(hash_word(bits));
    if (examples.size() < 3) add_example(date ? date_text(value) : number_text(value));
  }
  void add_example(const std::string& text) {
    if (examples.size() < 3 && std::find(examples.begin(), examples.end(), text) == examples.end()) examples.push_back(text);
  }
};

bool looks_like_id(const std::string& name) {
  std::string lower;
  for (char c : name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "id" || lower == "uuid" || lower == "rowid" || lower.ends_with("_id") || lower.ends_with(" id")) return true;
  const std::size_t n = name.size();  // customerId, CustomerID, but not paid
  return n > 2 && (name.ends_with("Id") || name.ends_with("ID")) && name[n - 3] >= 'a' && name[n - 3] <= 'z';
}

std::string role_of(const ColumnDescription& column, std::int64_t rows) {
  if (column.different <= 1 && (column.missing == 0 || column.different == 0)) return "constant";
  const bool all_differ = column.missing == 0 && rows >= 20 &&
                          static_cast<double>(column.different) >= (column.different_is_exact ? 1.0 : 0.97) * static_cast<double>(rows);
  const bool counts_rows = column.whole && column.max - column.min + 1 == static_cast<double>(rows);
  if (column.type == ColumnType::number) return column.whole && (looks_like_id(column.name) || (all_differ && counts_rows)) ? "id" : "";
  if (column.type == ColumnType::category) return looks_like_id(column.name) || all_differ ? "id" : "";
  return "";
}

// The last column is what people put there; one that nothing can be learnt for is passed over.
std::string guess_target(const DataDescription& description) {
  for (auto column = description.columns.rbegin(); column != description.columns.rend(); ++column) {
    if (!column->role.empty() || column->type == ColumnType::text || column->type == ColumnType::date) continue;
    if (column->type == ColumnType::category && (column->different > 100 || column->different * 5 > description.rows)) continue;
    return column->name;
  }
  return "";
}

ColumnDescription describe_column(const ColumnSchema& schema, const Summary& summary) {
  ColumnDescription column;
  column.name = schema.name;
  column.type = schema.type;
  const bool numbers = schema.type == ColumnType::number || schema.type == ColumnType::date;
  const double none = std::numeric_limits<double>::quiet_NaN();
  column.missing = summary.rows - summary.count;
  column.different = summary.distinct.count();
  column.different_is_exact = summary.distinct.is_exact();
  column.min = numbers && summary.count ? summary.min : none;
  column.max = numbers && summary.count ? summary.max : none;
  column.mean = numbers && summary.count ? summary.sum / static_cast<double>(summary.count) : none;
  column.whole = schema.type == ColumnType::number && summary.count && summary.whole;
  column.examples = summary.examples;
  column.role = role_of(column, summary.rows);
  column.note = schema.note;
  return column;
}

// One pass when the guess of types holds and nothing is left out, else a second one with what the first has shown.
std::vector<Summary> summarise(const CsvSource& source, TablePlan& plan, Stopwatch& reading) {
  std::vector<Summary> summaries(source.names().size());
  const auto add = [&](const TableChunk& chunk, const Schema& schema) {
    for (std::size_t i = 0; i < summaries.size(); ++i) summaries[i].add(chunk.columns[i], schema[i].type == ColumnType::date);
  };
  ScanState state;
  std::int64_t rows = 0;
  for (std::int64_t i = 0; i < source.pieces(); ++i) {
    const PieceRead read = reading.time([&] { return source.read(i); });
    reading.time([&] { state.merge(read.state); });
    add(read.chunk, source.guess());
    rows += read.chunk.rows;
    source.release(i);
  }
  plan = reading.time([&] { return source.plan(state); });
  if (source.guess_holds(plan) && rows == plan.rows) return summaries;
  summaries.assign(summaries.size(), {});
  for (std::int64_t i = 0; i < source.pieces(); ++i) {
    add(reading.time([&] { return source.parse(i, plan); }), plan.schema);
    source.release(i);
  }
  return summaries;
}

}  // namespace

DataDescription describe_data(const DataOptions& options, const CsvSettings& settings) {
  Stopwatch reading;
  DataOptions without_target = options;  // a row that cannot be trained on can be described
  without_target.target.clear();
  const CsvSource source = reading.time([&] { return CsvSource(without_target, settings); });
  check_column_names(options, source.names(), source.place_of(source.names().front()));
  TablePlan plan;
  const std::vector<Summary> summaries = summarise(source, plan, reading);
  DataDescription description;
  description.options = options;
  for (const Source& file : source.sources()) {
    description.files.push_back(file.path());
    description.bytes += static_cast<std::int64_t>(file.bytes().size());
  }
  description.separator = source.separator() == '\t' ? "tab" : std::string(1, source.separator());
  description.rows = plan.rows;
  description.bad_rows = plan.bad_rows;
  description.bad_examples = plan.bad_examples;
  description.read_seconds = reading.seconds();
  for (std::size_t i = 0; i < summaries.size(); ++i) description.columns.push_back(describe_column(plan.schema[i], summaries[i]));
  description.target = options.target.empty() ? guess_target(description) : options.target;
  return description;
}

}  // namespace chorale
