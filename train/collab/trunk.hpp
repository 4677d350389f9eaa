// Parameters that several tasks have in common: each step their gradients are summed over tasks, so that all tasks make the same update, or
// now and then the values are averaged. What is private stays in the task. Source: hard parameter sharing, Caruana, Machine Learning 1997.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/collab/lanes.hpp>
#include <chorale/train/collab/uncertainty_weight.hpp>

namespace chorale {

struct TrunkOptions {
  std::vector<double> weights;  // by task: what a task's mean gradient counts
  bool pcgrad = false;          // conflicts between tasks are projected away
  double uncertainty_lr = 0;    // above 0: weights are multiplied by learnt ones, exp(-s), s moving at this rate
  std::uint64_t seed = 1;       // of PCGrad's orders, equal for all tasks
};

/// Which of a model's trainable parameters are shared, by name: patterns as of a shell ("encoder.*"). In the order of names, so that tasks
/// may have registered them in any.
class TrunkSelection {
 public:
  /// Throws UsageError with the model's names where a pattern meets none.
  TrunkSelection(const FlatParams& params, const std::vector<std::string>& patterns);
  std::int64_t elements() const { return elements_; }
  const std::vector<std::string>& names() const { return names_; }
  /// "0.weight [16, 8]", by parameter.
  const std::vector<std::string>& descriptions() const { return descriptions_; }
  /// Between a vector of elements() and one in the arena's layout.
  template <class T>
  void pack(const T* arena, std::span<T> packed) const;
  template <class T>
  void unpack(std::span<const T> packed, T* arena) const;

 private:
  std::vector<FlatParams::Entry> entries_;
  std::vector<std::string> names_, descriptions_;
  std::int64_t elements_ = 0;
};

/// Patterns of all layers before the head: of every child of the model but the last one with parameters.
std::vector<std::string> layers_before_head(const Module& model);

/// Collective over all ranks of all tasks. Throws UsageError, equal on all of them, that names the first two tasks with another set of
/// shared parameters, and both shapes.
void check_trunk(Communicator& world, const TrunkSelection& mine, const std::string& task);

/// One thread a rank; calls are collective over all tasks.
class Trunk {
 public:
  Trunk(Lanes lanes, int number, TrunkOptions options);
  /// In place: this task's mean gradient (over its samples, equal on all of its ranks) becomes sum over t of w_t g_t, of the same bits on
  /// every rank of every task. step: from 1. loss: the task's mean loss of the step. Blocks.
  template <class T>
  void combine(std::span<T> gradient, std::int64_t step, double loss);
  /// In place: values become sum w_t theta_t / sum w_t, with the same bits everywhere; weights as given. Blocks.
  template <class T>
  void average(std::span<T> values);
  /// In place: that task's values on every rank. Blocks.
  template <class T>
  void spread_from(int task, std::span<T> values);

  const UncertaintyWeight& uncertainty() const { return uncertainty_; }
  std::uint64_t bytes_sent() const { return lanes_.bytes_sent(); }
  void restore(double log_variance) { uncertainty_.restore(log_variance); }
  /// That all ranks of all tasks together send for a combined gradient of so many elements, in one node.
  std::int64_t bytes_per_step(std::int64_t elements, std::int64_t element_bytes) const;

 private:
  template <class T>
  void project(std::span<T> gradient, double weight, std::int64_t step);
  Lanes lanes_;
  int number_;
  TrunkOptions options_;
  UncertaintyWeight uncertainty_;
};

}  // namespace chorale
