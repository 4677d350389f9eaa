// Tasks whose layers read each other while they are computed: behind one layer h_t becomes sum over u of alpha_tu h_u, and gradients flow
// back into every task. All tasks hold the same entities in the same rows of their batches and go in lock-step: rank r of a task meets rank
// r of the others. Source: cross-stitch units, Misra, Shrivastava, Gupta & Hebert, CVPR 2016, with one alpha for a pair of tasks.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/sequential.hpp>

namespace chorale {

/// Row `number` of the matrix alpha [tasks, tasks] is this task's: "own" [1], which starts at 0.9, and "others" [tasks - 1] in the order of
/// tasks, which start at 0.1 together.
class Stitch final : public Layer {
 public:
  /// lane: rank t is task t's; it outlives this.
  Stitch(Communicator& lane, int number);
  using Layer::forward;
  /// Collective over the lane, also behind a pass that does not train; backward is another. h [B, D], the same shape in all tasks. Waits
  /// for every task. Sends B D + tasks values, backward B D.
  Variable forward(const Variable& h, const Pass& pass) override;
  std::string name() const override { return "stitch(" + std::to_string(lane_.size()) + " tasks)"; }
  /// true: h stays as it is and nobody is waited for, to look at one rank's rows again when something has gone wrong.
  void set_alone(bool is_alone) { is_alone_ = is_alone; }

 private:
  template <class T>
  Variable stitched(const Variable& h, const Pass& pass);
  template <class T>
  std::vector<T> from_all(std::span<const T> mine, Label label);
  Communicator& lane_;
  int number_;
  Parameter& own_;
  Parameter& others_;
  bool is_alone_ = false;
};

/// A task's layers with a stitch behind layer `behind`. The layers keep their names and random numbers; the stitch is "stitch".
class StitchedModel final : public Module {
 public:
  /// Throws UsageError where no layer of that number lies before the last layer with parameters, or none before it has parameters, or its
  /// rows are not flat. in: shape of a row of "x".
  StitchedModel(std::unique_ptr<Sequential> own, const Shape& in, std::int64_t behind, Communicator& lane, int number);
  Values forward(const Values& in, const Pass& pass) override;
  std::string name() const override { return "stitched"; }
  Stitch& stitch() { return stitch_; }
  /// Values of a row that are stitched.
  std::int64_t width() const { return width_; }
  /// The layer before the last one with parameters; -1: there is none.
  static std::int64_t last_before_head(const Sequential& layers);

 private:
  std::unique_ptr<Sequential> own_;
  std::size_t first_behind_ = 0;  // the layer that reads what was stitched
  Stitch stitch_;
  std::int64_t width_ = 0;
};

}  // namespace chorale
