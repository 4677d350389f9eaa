// When a table's rows happened: what parts them by common cut-off times, and which period's row of the store they belong to.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/split.hpp>
#include <chorale/core/data/table.hpp>
#include <chorale/train/data/shared_table.hpp>

namespace chorale {

/// Of a task whose rows have a time.
struct TimeRequest {
  std::string column;           // of dates or numbers; empty: rows have no time
  std::string period = "week";  // see parse_period
  /// Two, common to all tasks: train before the first, test from the second on. Empty: the time parts nothing.
  std::vector<std::string> cutoffs = {};
};

/// A length of time. is_number: 7 without a unit, in the units of a column of numbers.
struct Period {
  double length = 604800;  // in seconds, or in the column's units
  bool is_number = false;
};
/// "week", "day", "hour", "3 days", "12 hours", "30 minutes", or a number for columns of numbers. Throws UsageError that says so.
Period parse_period(const std::string& text);

/// "2011-10-01", or with a time, to seconds since 1970; a number to itself. is_date tells which. Throws UsageError that names `key`.
struct Cutoff {
  double value = 0;
  bool is_date = false;
};
Cutoff parse_cutoff(const std::string& text, const std::string& key);

class RowTimes {
 public:
  /// times: by row, seconds since 1970 or numbers, as the column's type says. Throws UsageError where period or cut-offs are of another
  /// kind, DataError for a row without a time.
  RowTimes(const TimeRequest& request, ColumnType type, std::vector<double> times);
  /// Train before the first cut-off, validation before the second, test from there on.
  std::vector<Part> parts() const;
  /// By row. Periods are counted from the first cut-off, so that what is known there ends there; without one from 1970-01-01, or 0.
  std::vector<std::int32_t> periods() const;
  /// The first period that is not of the training part; beyond all where the time parts nothing.
  std::int32_t first_after_training() const;

 private:
  std::vector<double> times_;
  std::array<double, 2> cutoffs_ = {0, 0};
  double length_;
  bool parts_rows_;
};

/// Of a table that has the column. Throws as RowTimes does. Collective.
RowTimes row_times(SharedTable& table, const TimeRequest& request);

}  // namespace chorale
