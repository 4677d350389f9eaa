// What a pass minimises: one loss, or the losses of several tasks, each with a target of its own. One thread.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

class Loss;

struct LossValue {
  Variable total;        // [], the weighted sum over samples: what backward starts from
  Tensor sample_loss;    // [B], or [B, T] of sequences, weighted
  Tensor sample_weight;  // the same, class and sample weights multiplied
};

/// One prediction that is held against a target.
struct LossTask {
  std::string name;               // empty: the only one
  std::string result = "y";       // among the model's results
  std::string target = "target";  // among a batch's tensors; NaN in a row without a label, where there are several
  Loss* loss = nullptr;           // of this one alone
  double weight = 1;              // in the sum that an evaluation reports
  /// What its scores are called: "auc", or "income.auc".
  std::string score(const std::string& metric) const { return name.empty() ? metric : name + "." + metric; }
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual std::vector<LossTask> tasks() = 0;
  /// Of a pass over some rows of the batch. in: "weight", where rows have one, and what tasks() names.
  virtual LossValue of(const Values& results, const Values& in) = 0;
  /// Task t's part; the parts of all tasks sum to of(), but for the weights of samples, which each part has whole.
  virtual LossValue of_task(std::size_t t, const Values& results, const Values& in) = 0;
  /// Tensors of all rows of the global batch that take_batch() is to see before the first pass of a step; empty: it need not be called.
  virtual std::vector<std::string> batch_fields() const = 0;
  virtual void take_batch(const Values& batch) = 0;
};

}  // namespace chorale
