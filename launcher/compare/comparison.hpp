// Runs side by side: those that differ by nothing but their seed are one setting, and settings are held against the first one seed by seed.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/launcher/compare/run_record.hpp>

namespace chorale {

/// Mean of the differences of pairs with its 95 % interval by Student's t.
struct PairedDifference {
  double mean = 0, low = 0, high = 0;
  std::size_t pairs = 0;
};

/// a[i] - b[i], two pairs or more. Source: Student, The probable error of a mean, Biometrika 1908.
PairedDifference paired_difference(std::span<const double> a, std::span<const double> b);

/// One setting's values of one metric.
struct ComparedScore {
  std::vector<double> values;                     // of its runs, in the order given; a run without it is left out
  double mean = 0, deviation = 0;                 // deviation: 0 of one run
  std::optional<PairedDifference> against_first;  // nothing: the first one itself, or fewer than two seeds in common
};

struct ComparedSetting {
  std::string text;  // what sets it apart: "optimizer.lr = 0.01, train.batch = 64"; of one setting alone "all runs"
  std::vector<const RunRecord*> runs;
};

struct Comparison {
  std::string part;
  std::vector<ComparedSetting> settings;  // in the order in which their first runs were given
  struct Metric {
    std::string name;
    bool higher_is_better = false;
    std::vector<ComparedScore> scores;  // by setting
  };
  std::vector<Metric> metrics;  // that a run has: the loss first, speed last
};

/// Two runs that say the same of their data and had other rows: their file has changed in between. Empty: there are none.
std::string changed_data(std::span<const RunRecord> records);

/// records outlive what is returned. Throws UsageError without any.
Comparison compare(std::span<const RunRecord> records, const std::string& part);

/// Tables, one a metric, for a terminal or (markdown) a document.
std::string text_of(const Comparison& comparison, bool markdown);
std::string json_of(const Comparison& comparison);
/// Validation curves by setting on the left, values by setting on the right, of one metric. False: gnuplot drew nothing.
bool draw_comparison(const std::filesystem::path& file, const Comparison& comparison, const std::string& metric);

}  // namespace chorale
