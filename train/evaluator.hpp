// Scores of a data set: chunks of fixed rows, each with its own forward, dealt out to the ranks; states merge exactly, so no score depends
// on the ranks.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
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
/// Of sequences, each place of which is scored: as many rows as have about as many places, at least 1.
std::int64_t evaluation_rows(const Dataset& data);

class Evaluator {
 public:
  struct Parts {
    Communicator& comm;
    Module& model;
    Objective& loss;
    FlatParams& params;
    const Registry& registry;
    std::vector<std::string> metrics;   // "loss" is always among the results
    std::vector<std::int64_t> outputs;  // a row, by task of the loss
  };
  /// Throws UsageError for a metric that is unknown, or that no target can have.
  explicit Evaluator(const Parts& parts);
  /// Collective. Equal on all ranks. Of several tasks "NAME.auc" over the rows that have its label, and "auc", the mean over the tasks that
  /// have it; "loss" is then their sum with the weights that the tasks were given.
  std::map<std::string, double> evaluate(const Dataset& data);
  /// After evaluate(): the metrics that have a table, by name, as JSON.
  const std::map<std::string, std::string>& tables() const { return tables_; }
  /// Predictions (probabilities or values, [rows, outputs] in f64) chunk by chunk, on this rank alone.
  using Take = std::function<void(std::size_t task, std::int64_t first_row, const Values& in, const Tensor& raw,
                                  const std::vector<double>& prediction)>;
  static void predict(Module& model, Objective& loss, FlatParams& params, const Dataset& data, const Take& take);

 private:
  void score(std::size_t task, const Values& results, const Values& in, std::span<const std::unique_ptr<Metric>> metrics);
  std::vector<std::unique_ptr<Metric>> fresh() const;
  void add_means(std::map<std::string, double>& scores) const;
  Parts parts_;
  std::vector<LossTask> tasks_;
  std::vector<std::vector<std::string>> names_;  // of metrics, by task; the first is the loss
  std::map<std::string, std::string> tables_;
};

/// Words of train.metrics by task: "auc" is for every task that can have it, "income.auc" for one. The loss comes first. Throws UsageError
/// for what is unknown, named twice, or fits no task.
std::vector<std::vector<std::string>> metrics_by_task(const std::vector<std::string>& words, const std::vector<LossTask>& tasks,
                                                      const Registry& registry);

/// Results of a row by task of the loss: what a forward pass over the first row gives.
std::vector<std::int64_t> outputs_by_task(Module& model, Objective& loss, FlatParams& params, const Dataset& data);

/// The metrics' view of a loss's task.
MetricEntry::Task metric_task(Loss::Task task);

}  // namespace chorale
