// A loss gives sums, never averages: the division by the sum of weights happens once, over the whole global batch, wherever its samples
// lay.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/autograd/variable.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/loss/objective.hpp>

namespace chorale {

struct LossOptions {
  std::vector<double> class_weights;  // by class id; empty: all 1
  double huber_delta = 1;
  double label_smoothing = 0;  // in [0, 1)
  double focal_gamma = 2;      // at least 0
  double quantile = 0.5;       // in (0, 1)
  double tweedie_power = 1.5;  // in (1, 2)
};

/// Also the objective of a model with one prediction, "y" against "target".
class Loss : public Objective {
 public:
  enum class Task : std::uint8_t { binary, classes, value };
  /// prediction [B, C], target [B] or [B, C] in the prediction's type (class ids as numbers), weight [B] or undefined. Throws ShapeError; a
  /// class id outside [0, C) is a DataError. cross_entropy also takes sequences, [B, T, C] against [B, T].
  virtual LossValue forward(const Variable& prediction, const Tensor& target, const Tensor& weight) = 0;
  virtual Task task() const = 0;
  /// What predictions and metrics see: probabilities for classes, values as they are.
  virtual Tensor predict(const Tensor& prediction) const = 0;

  std::vector<LossTask> tasks() override { return {{.name = "", .loss = this}}; }
  LossValue of(const Values& results, const Values& in) override;
  LossValue of_task(std::size_t, const Values& results, const Values& in) override { return of(results, in); }
  std::vector<std::string> batch_fields() const override { return {}; }
  void take_batch(const Values&) override {}
};

/// For losses composed from operations: per_sample [B] times weight [B] (undefined: 1), summed.
LossValue weighted_sum(const Variable& per_sample, const Tensor& weight);

/// In the Registry under the loss's recipe name.
struct LossEntry {
  std::string help;
  Loss::Task task;
  std::unique_ptr<Loss> (*make)(const LossOptions& options);
  std::vector<std::string> reads = {};                             // of LossOptions, what not every loss has: "huber_delta"
  double least_target = -std::numeric_limits<double>::infinity();  // below which a target is a DataError
};

}  // namespace chorale
