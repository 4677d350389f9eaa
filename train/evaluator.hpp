// Scores of a data set: chunks of fixed rows, each with its own forward, dealt out to the ranks; states merge exactly, so no score depends
// on the ranks.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/metrics/metric.hpp>
#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

/// A matrix product's bits change with its number of rows, so this number is part of what a score means.
inline constexpr std::int64_t kEvaluationRows = 1024;

class Evaluator {
 public:
  struct Parts {
    Communicator& comm;
    Module& model;
    Loss& loss;
    FlatParams& params;
    const Registry& registry;
    std::vector<std::string> metrics;  // "loss" is always among the results
    std::int64_t outputs;
  };
  explicit Evaluator(const Parts& parts) : parts_(parts) {}
  /// Collective. Equal on all ranks.
  std::map<std::string, double> evaluate(const Dataset& data);
  /// After evaluate(): the metrics that have a table, by name, as JSON.
  const std::map<std::string, std::string>& tables() const { return tables_; }
  /// Predictions (probabilities or values, [rows, outputs] in f64) chunk by chunk, on this rank alone.
  static void predict(
      Module& model, const Loss& loss, FlatParams& params, const Dataset& data,
      const std::function<void(std::int64_t first_row, const Values& in, const Tensor& raw, const std::vector<double>& prediction)>& take);

 private:
  Parts parts_;
  std::map<std::string, std::string> tables_;
};

/// The metrics' view of a loss's task.
MetricEntry::Task metric_task(Loss::Task task);

}  // namespace chorale
