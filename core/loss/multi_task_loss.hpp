// The losses of several tasks in one sum. Each is the mean over the rows of the global batch that have its label, so that neither how many
// labels a task has nor how the batch is shared out changes what the tasks weigh.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/loss/loss.hpp>

namespace chorale {

/// Reads "y.NAME" and "target.NAME" of each task, a label that is NaN being none.
class MultiTaskLoss final : public Objective {
 public:
  struct Task {
    std::string name;
    std::unique_ptr<Loss> loss;
    std::vector<double> class_weights = {};  // as the loss has them
    double weight = 1;
  };
  /// learns_weights: a task's loss L counts as exp(-s) L + s / 2 with s its "log_variance.NAME" of the results (losses of values
  /// exp(-s) L / 2 + s / 2). A task without a label in the batch then counts nothing.
  /// Source: Kendall, Gal, Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018, with s = log(sigma^2).
  MultiTaskLoss(std::vector<Task> tasks, bool learns_weights);

  std::vector<LossTask> tasks() override;
  /// Multiplied by the number of rows of the batch, by which the sum over all passes is divided.
  LossValue of(const Values& results, const Values& in) override;
  LossValue of_task(std::size_t t, const Values& results, const Values& in) override;
  std::vector<std::string> batch_fields() const override;
  void take_batch(const Values& batch) override;

 private:
  std::vector<Task> tasks_;
  bool learns_weights_;
  std::vector<double> factor_;  // by task: rows of the batch over the sum of weights of those that have the label; 0: none has
};

/// The rows that have a label: the target with 0 where it is missing, and the weight (undefined: 1) with 0 there.
struct Labelled {
  Tensor target, weight;
};
Labelled labelled(const Tensor& target, const Tensor& weight);

}  // namespace chorale
