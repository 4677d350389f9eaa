// What takes part in a training beside the exchange of gradients: sharing between tasks, for instance. Called on every rank, on the
// training thread. Calls that are marked collective come at the same step on all ranks of the trainer's communicator.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/nn/module.hpp>
#include <chorale/train/gradient_view.hpp>
#include <chorale/train/stop.hpp>

namespace chorale {

/// One more term of the loss: another result of the model, held against the same target.
struct Aim {
  std::string result;  // its name in the model's results, of the shape of "y"
  double weight = 1;   // of the term
};

/// The forward pass of a virtual worker, or of a part of its rows.
struct WorkerPass {
  std::int64_t worker;
  std::int64_t first_position;         // of its rows in the global batch
  std::span<const std::int64_t> rows;  // numbers in the data set
  const Values& in;                    // their fields
  const Values& results;               // what the model made of them
  const Pass& pass;                    // as the model had it
};

/// The parameters of a run, for a hook that changes them between steps.
struct TrainedParameters {
  FlatParams* params = nullptr;
  std::function<void(Buffer values)> write;  // collective: all of the arena, given alike on all ranks
};

class TrainingHook {
 public:
  virtual ~TrainingHook() = default;
  /// Collective, once: parameters have their first values; those of a checkpoint come next. What is given outlives the training.
  virtual void begin(const TrainedParameters& parameters) { (void)parameters; }
  /// From now on this rank alone computes a pass again, to find out what went wrong in it; false: no longer.
  virtual void set_alone(bool is_alone) { (void)is_alone; }
  /// In the pass of a virtual worker, before its backward.
  virtual void on_results(const WorkerPass& pass) { (void)pass; }
  /// One more term of the pass's loss, [], as a mean over its rows: it counts as the other terms do, whatever their sum of weights. Without
  /// value: none. No communication: ranks make different numbers of passes.
  virtual Variable loss_term(const WorkerPass& pass) {
    (void)pass;
    return {};
  }
  /// Whether after_gradients() is to be called. Equal on all ranks and all the time. Costs a copy of the gradient and, where ranks own
  /// parts of it, one all-reduce of it.
  virtual bool takes_gradients() const { return false; }
  /// Collective, at every step: between the agreement on its gradient and clipping and update.
  virtual void after_gradients(GradientView& gradient) { (void)gradient; }
  /// In backward, again and again: what is under way may be pushed on, without waiting.
  virtual void between_layers() {}
  /// Collective, after step `step` (from 1) and before its evaluation; also after a step that train.on_nan = skip has left out.
  virtual void after_step(std::int64_t step) { (void)step; }
  /// Whether the run goes back to its best weights after TrainerConfig::hold's last step, before after_step(), and is evaluated then,
  /// because all that the model reads beside its rows is another from here on. Equal on all ranks, asked before the step too.
  virtual bool goes_back() const { return false; }
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
  /// Collective, at an evaluation of a run with train.early_stop, before it is judged: the score that decides which weights are the best,
  /// from this run's own, which all of its ranks have alike.
  virtual double judged_score(double own) { return own; }
  /// Collective: the weights of now are the best so far and have been kept; whatever belongs to them is to be kept too.
  virtual void keep_best() {}
  /// Collective: the best weights are in place again; what was kept with them is to be used from here on.
  virtual void use_best() {}
  /// Collective: the loop is over, weights are final or the best; the final evaluation comes next.
  virtual void after_last_step() {}
};

}  // namespace chorale
