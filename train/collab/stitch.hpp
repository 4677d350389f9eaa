// Tasks whose layers read each other while they are computed: behind one layer h_t becomes sum over u of alpha_tu h_u, and gradients flow
// back into every task. All tasks hold the same entities in the same rows of their batches and go in lock-step: rank r of a task meets rank
// r of the others. Source: cross-stitch units, Misra, Shrivastava, Gupta & Hebert, CVPR 2016, with one alpha for a pair of tasks
// or one for each value of the layer.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/collab/lanes.hpp>

namespace chorale {

/// Row `number` of the matrix alpha [tasks, tasks] is this task's: "own" [1], which starts at 0.9, and "others" [tasks - 1] in the order of
/// tasks, which start at 0.1 together. With channels each alpha is a vector: "own" [width], "others" [tasks - 1, width].
class Stitch final : public Layer {
 public:
  struct Form {
    std::int64_t width = 0;  // values of a row
    bool channels = false;
  };
  /// lanes: of tasks with equal numbers of ranks.
  Stitch(Lanes lanes, int number, const Form& form);
  using Layer::forward;
  /// Collective over the lane, also in a pass that does not train; backward is another. h [B, width], the same B in all tasks. Waits for
  /// every task. A rank sends B width values and its alphas, and B width in backward.
  Variable forward(const Variable& h, const Pass& pass) override;
  std::string name() const override { return "stitch(" + std::to_string(lanes_.tasks()) + " tasks)"; }
  /// true: h stays as it is and nobody is waited for, to look at one rank's rows again when something has gone wrong.
  void set_alone(bool is_alone) { is_alone_ = is_alone; }
  std::int64_t width() const { return form_.width; }
  /// Of a number that all ranks of a task give alike; summed in the order of tasks. Collective over the lane, blocks.
  double mean_over_tasks(double mine);
  std::uint64_t bytes_sent() { return lanes_.bytes_sent(); }

 private:
  template <class T>
  Variable stitched(const Variable& h, const Pass& pass);
  template <class T>
  std::vector<T> from_all(std::span<const T> mine, Label label);
  Lanes lanes_;
  int number_;
  Form form_;
  Parameter& own_;
  Parameter& others_;
  bool is_alone_ = false;
};

/// out += alpha from, `n` values: rows of `each` numbers with an alpha for each, or each = 1 and one for all.
template <class T>
void add_weighted(T* out, const T* from, const T* alpha, std::int64_t n, std::int64_t each);

/// The number of the layer of that name; empty: last_before_head(). Throws UsageError with the names that there are.
std::int64_t stitched_layer(const Sequential& layers, const std::string& name);

/// The layer before the last one with parameters; -1: there is none.
std::int64_t last_before_head(const Sequential& layers);

/// Puts a stitch behind layer `behind`, under the name "stitch"; the layers keep their names and random numbers. Throws UsageError where no
/// layer of that number lies before the last layer with parameters, or none up to it has parameters, or its rows are not flat. in: shape of
/// a row of "x".
Stitch& add_stitch(Sequential& layers, const Shape& in, std::int64_t behind, Lanes lanes, int number, bool channels = false);

}  // namespace chorale
