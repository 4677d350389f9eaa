// A metric is a mergeable state: counts, exact sums, sorted runs. Chunks of fixed rows are scored wherever they lie and merged,
// so a score does not depend on the number of ranks. One thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>

namespace chorale {

/// What a metric sees of a chunk. Everything in f64, so that scores of f32 and f64 models are comparable.
struct Scored {
  std::int64_t rows = 0;
  std::int64_t outputs = 1;             // C: logits or values per row
  std::span<const double> prediction;   // [rows, C]: probabilities (sigmoid or softmax applied) or values
  std::span<const double> target;       // [rows]: class id, 0/1 or value
  std::span<const double> weight;       // [rows], empty: all 1
  std::span<const double> sample_loss;  // [rows], the training loss per sample, already weighted
};

class Metric {
 public:
  virtual ~Metric() = default;
  virtual void update(const Scored& chunk) = 0;
  /// The state as bytes, host order. Every sum inside is exact, so merging in any order and any grouping gives the value of one update over
  /// all rows.
  virtual std::vector<std::byte> state() const = 0;
  virtual void merge(std::span<const std::byte> state) = 0;
  /// NaN where it is undefined (AUC of one class).
  virtual double value() const = 0;
  /// The table behind the value as a JSON object; "" for a metric that is one number.
  virtual std::string table_json() const { return ""; }
};

/// In the Registry under the metric's recipe name ("auc", "log_loss").
struct MetricEntry {
  std::string help;
  bool higher_is_better = false;
  /// What a target must be: anything, 0 or 1, a class id (0 or 1 too), a number.
  enum class Task { any, binary, classes, value } task = Task::any;
  /// outputs as in Scored: 1 for a binary or value target, else the number of classes.
  std::unique_ptr<Metric> (*make)(std::int64_t outputs);
};

/// Can targets of this task (binary, classes or value) have the metric?
bool fits(const MetricEntry& metric, MetricEntry::Task target);

/// The metrics of train.metrics in the given order, for a model with `outputs` per row and targets of `task` (binary, classes or value).
/// Throws UsageError for an unknown name (with the nearest), one named twice, or one that such targets cannot have (AUC of numbers).
std::vector<std::unique_ptr<Metric>> make_metrics(std::span<const std::string> names, std::int64_t outputs, MetricEntry::Task task,
                                                  const Registry& registry);

}  // namespace chorale
