// What takes part in a training beside the exchange of gradients: sharing between tasks, for instance. Called on every rank, on the
// training thread. Calls that are marked collective come at the same step on all ranks of the trainer's communicator.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/autograd/variable.hpp>
#include <chorale/train/stop.hpp>

namespace chorale {

/// One more term of the loss: another result of the model, held against the same target.
struct Aim {
  std::string result;  // its name in the model's results, of the shape of "y"
  double weight = 1;   // of the term
};

class TrainingHook {
 public:
  virtual ~TrainingHook() = default;
  /// In the pass of a virtual worker: the data set's rows that it saw (numbers in the data set) and what the model made of them.
  virtual void on_results(std::int64_t worker, std::span<const std::int64_t> rows, const Values& results) {
    (void)worker, (void)rows, (void)results;
  }
  /// Collective, after step `step` (from 1) and before its evaluation; also after a step that train.on_nan = skip has left out.
  virtual void after_step(std::int64_t step) { (void)step; }
  /// Whether a checkpoint is due after this step, beside those that checkpoint.* asks for. Equal on all ranks, asked before the step too.
  virtual bool saves_after(std::int64_t step) const {
    (void)step;
    return false;
  }
  /// What the model needs beside its weights to be opened again, as JSON; every checkpoint's manifest has it. Empty: nothing.
  virtual std::string pinned() const { return ""; }
  /// Collective: the checkpoint of this step has been written, or it could not be.
  virtual void after_save(std::int64_t step, bool is_good) { (void)step, (void)is_good; }
  /// After after_step(): whether the run ends here, and how. Equal on all ranks.
  virtual Stop stop() const { return Stop::none; }
  /// Collective, after the validation rows have been scored and the best weights kept.
  virtual void after_evaluation() {}
  /// Collective: the weights of now are the best so far and have been kept; whatever belongs to them is to be kept too.
  virtual void keep_best() {}
  /// Collective: the best weights are in place again; what was kept with them is to be used from here on.
  virtual void use_best() {}
  /// Collective: the loop is over, weights are final or the best; the final evaluation comes next.
  virtual void after_last_step() {}
};

}  // namespace chorale
