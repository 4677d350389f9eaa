// Data parallelism for gradients that are not ours: register parameters, write gradients, say when each is complete, step. The same
// exchanges as the trainer's; no model, loss or data set of this library is needed.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/train/data_parallel.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

/// One thread a rank; add, start and step are collective, in the same order on all ranks.
///
///     GradientEngine engine(*comm, {.optimizer = {.name = "sgd", .lr = 0.1}});
///     const auto w = engine.add("w", 3);
///     engine.start();
///     for (...) { fill engine.gradient(w) with the sum over this rank's samples; engine.ready(w); engine.step(samples); }
class GradientEngine {
 public:
  struct Options {
    // An exchange auto is shared: memory that has been given out stays where it is. Copies auto is node: one rank may write for all.
    ParallelOptions parallel = {.exchange = "shared"};
    OptimizerOptions optimizer = {};
  };
  explicit GradientEngine(Communicator& comm);
  GradientEngine(Communicator& comm, const Options& options);
  ~GradientEngine();

  /// A parameter in the engine's memory: values() and gradient() are written and read in place. Starts at 0.
  std::size_t add(const std::string& name, std::int64_t elements) { return add({.name = name, .elements = elements}); }
  /// The same, but rank 0's `start` is everybody's start.
  std::size_t add_copy(const std::string& name, std::span<const float> start) {
    return add({.name = name, .elements = static_cast<std::int64_t>(start.size()), .start = {start.begin(), start.end()}});
  }
  /// A parameter in the caller's memory: rank 0's values are everybody's start, and each step writes the new ones there.
  std::size_t add(const std::string& name, std::span<float> values) {
    return add(
        {.name = name, .elements = static_cast<std::int64_t>(values.size()), .start = {values.begin(), values.end()}, .outside = values});
  }
  /// After the last add. Throws UsageError on every rank where parameters differ. Backward of layers that were added last comes first, as
  /// everywhere.
  void start();

  /// Parameter i where this rank reads it; valid as long as the engine. Written by the caller before the first step only: by one rank of
  /// each copy, which is one a node unless parallel.copies = numa.
  std::span<float> values(std::size_t i) const;
  /// Where the gradient of parameter i belongs, summed over this rank's samples; until the next step().
  std::span<float> gradient(std::size_t i);
  /// gradient(i) is complete: its bucket may leave. What is not ready at step() counts as zero.
  void ready(std::size_t i);
  /// The same, of a gradient that lies elsewhere.
  void ready(std::size_t i, std::span<const float> gradient);
  /// Sums, divides once by the sum of weights (this rank's: of its samples) and updates. Returns the mean loss over all ranks, `loss`
  /// being this rank's sum. Throws NumericError on all ranks when a loss or weight is not finite, or a weight below 0; nothing has changed
  /// then and the next gradients may come (local_sgd: once a round, and its ranks have moved on their own; start anew).
  double step(double weight, double loss = 0);
  void set_lr(double lr);
  /// Of the last step, by rank: backward is the time from its first gradient to step().
  const std::vector<Phases>& phases() const { return replicas_->phases(); }
  /// The exchange in use.
  const std::string& exchange() const;

 private:
  class Plain;  // a module that only has parameters
  struct Slot {
    std::string name;
    std::int64_t elements = 0;
    std::vector<float> start = {};  // until start(); empty: zeros
    std::span<float> outside = {};  // the caller's memory, empty: none
    std::size_t entry = 0;          // in the arena
    bool ready = false;
  };
  std::size_t add(Slot slot);
  const FlatParams::Entry& entry(std::size_t i) const;
  void check_ranks() const;
  void begin();
  void require_started(bool started, const char* call) const;

  Communicator& comm_;
  Options options_;
  Registry registry_;
  SilentLog log_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Plain> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<FlatParams> params_;
  std::unique_ptr<DataParallel> replicas_;
  std::vector<Slot> slots_;
  Buffer gradients_;
  bool in_step_ = false;
  Stopwatch since_begin_;
  std::int64_t step_ = 0;
};

}  // namespace chorale
