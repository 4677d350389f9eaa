// One rank's model at work: gradients of its virtual workers, each with a forward and backward of its own, summed in tree order into the
// memory it is given.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/batch_cut.hpp>
#include <chorale/train/batch_statistics.hpp>
#include <chorale/train/exchange/exchange.hpp>
#include <chorale/train/loader.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

/// One thread.
class Replica {
 public:
  struct Parts {
    Module& model;
    Objective& loss;
    FlatParams& params;
    const Dataset& data;
    std::uint64_t seed;
    std::int64_t accumulate;
    Trace* trace = nullptr;
    RankWatch* watch = nullptr;      // null: nobody wants to know where the rank is
    std::span<const Aim> aims = {};  // terms of the loss beside that of "y"; reports hold that of "y" alone
    TrainingHook* hook = nullptr;
    BatchStatistics* statistics = nullptr;  // null: the model keeps none
  };
  explicit Replica(const Parts& parts);

  /// Gradients of one subtree of workers, summed, into `into`; reports by worker are appended. batch: the whole global batch.
  /// `last`: called before the pass whose ready gradients are final (only where the subtree is a single worker without accumulation).
  void compute(Subtree tree, const BatchCut& batch, std::int64_t step, Buffer into, std::vector<WorkerReport>& reports,
               const std::function<void()>& last = {});
  /// From here on backward starts from this task's part of the loss alone; none: from all of it.
  void only(std::optional<std::size_t> task) { only_ = task; }
  /// What is not finite for this worker: the first bad tensor and the samples concerned.
  std::string describe_bad(std::int64_t worker, const BatchCut& batch, std::int64_t step);
  /// Rows as Loader loads them, once.
  static Values gather(const Dataset& data, std::span<const std::int64_t> rows, Device& device, DType dtype,
                       std::span<const std::string> fields = {});
  /// Since the last call, in ms: data, forward, backward.
  Phases take_phases();

 private:
  void subtree(Subtree tree, const BatchCut& batch, std::int64_t step, Buffer into, std::size_t depth, std::vector<WorkerReport>& reports,
               const std::function<void()>& last);
  WorkerReport worker(std::int64_t v, const BatchCut& batch, std::int64_t step, Buffer into, const std::function<void()>& last);
  void enter(Activity activity, std::string_view what = {});
  void trace_phase(const char* name, Trace::Clock::time_point start, Trace::Clock::time_point end);
  void take_batch(const BatchCut& batch, std::int64_t step);
  Variable total_loss(const Variable& main, const Values& results, const Values& in) const;
  Variable with_hook(const Variable& total, const WorkerPass& pass, double weights);
  Pass pass_of(std::int64_t step, std::int64_t first_position) const;
  Draw draw_of(std::int64_t step, std::int64_t first_position) const;
  Parts parts_;
  Loader loader_;
  std::vector<Tensor> partial_;  // by depth: sums of right subtrees
  Phases phases_;
  std::optional<std::size_t> only_;
  std::int64_t taken_step_ = -1;  // whose batch the loss has seen
};

}  // namespace chorale
