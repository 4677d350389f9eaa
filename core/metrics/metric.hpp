// A metric is a mergeable state: counts, sums, histograms, sorted runs. Chunks of fixed rows are scored wherever they lie and merged in chunk order,
// so a score does not depend on the number of ranks.
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
  /// The state as bytes, host order; merging the states of chunks in chunk order equals updating chunk by chunk.
  virtual std::vector<std::byte> state() const = 0;
  virtual void merge(std::span<const std::byte> state) = 0;
  /// NaN where it is undefined (AUC of one class).
  virtual double value() const = 0;
};

/// In the Registry under the metric's recipe name ("auc", "log_loss").
struct MetricEntry {
  std::string help;
  bool higher_is_better = false;
  enum class Task { any, binary, classes, value } task = Task::any;
  std::unique_ptr<Metric> (*make)(std::int64_t outputs);
};

}  // namespace chorale
