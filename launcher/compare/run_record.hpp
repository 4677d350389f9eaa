// What a run directory tells of a run that is over, as far as runs are compared: its recipe, its scores, and how it came to them.
#pragma once
#include <filesystem>
#include <map>
#include <string>

namespace chorale {

struct RunRecord {
  std::filesystem::path folder;
  std::map<std::string, std::string> keys;                     // of recipe.resolved.ini: "optimizer.lr" -> "0.01"
  std::string status, data;                                    // of summary.json; data: differs when training rows differ, or empty
  std::map<std::string, double> scores;                        // of the part, by metric, and samples_per_second
  std::map<std::string, std::map<double, double>> validation;  // of metrics.jsonl: metric -> update -> value
  /// Runs of one seed are pairs: same starting weights, order of rows and parts, as far as their recipes allow.
  std::string seed() const;
};

/// part: train, validation or test. Throws UsageError where the folder holds no run, its run is not over, or has no scores of that part;
/// DataError for a file that is none of ours.
RunRecord read_run_record(const std::filesystem::path& folder, const std::string& part);

}  // namespace chorale
