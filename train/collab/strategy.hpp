// One way in which tasks share: what a task tells the others at ticks, and what it makes of what it hears. One file each, in the Registry
// under the names that collab.strategy lists; Sharing drives those that are listed, in that order.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/io/named_tensor.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/nn/fused_model.hpp>
#include <chorale/train/collab/collab_options.hpp>
#include <chorale/train/collab/guard.hpp>
#include <chorale/train/collab/publication.hpp>
#include <chorale/train/collab/task_info.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

/// Where this task stands at a tick. `number` is equal for all tasks.
struct Tick {
  std::int64_t number = 0;  // from 1; 0: before the first
  bool trains = true;       // false: the task makes no steps yet; it takes part with nothing of its own
  bool burns_in = false;    // tasks train alone: what comes in is not used
};

/// What a strategy is made from; all of it outlives the strategy.
struct StrategySetup {
  Communicator& sharing;  // all ranks of all tasks, for this strategy alone: its collectives meet no others
  Communicator& task;     // the ranks of this task: only where all of them wait, as in after_evaluation()
  const std::vector<TaskInfo>& tasks;
  int number;  // of this rank's task
  const TaskRows& rows;
  std::shared_ptr<const Dataset> all;                    // every row of the table, as the model reads it
  std::shared_ptr<const Dataset> validation;             // as the model is scored on it; may be null
  const std::vector<std::int64_t>& validation_entities;  // by row of it
  FusedModel& model;
  Loss& loss;
  Device& device;
  DType dtype;
  std::int64_t outputs;  // of the model, in a row
  std::int64_t virtual_workers;
  const CollabOptions& options;
  Publication* publication;  // null: no strategy of the run needs vectors by entity
  FusedModel* untrained;     // a control: what this task tells is made by it, and it stays as it was drawn; null elsewhere
  std::function<void(const GuardEvent&)> on_guard;
  std::function<void(const std::string&)> say;           // on the task's first rank, where somebody listens
  std::function<std::unique_ptr<Sequential>()> another;  // layers as the task's own are before a strategy changes them
  std::function<void()> on_heard = {};                   // when vectors of trained peers are used for the first time; not collective

  const TaskInfo& me() const { return tasks[static_cast<std::size_t>(number)]; }
  /// Of the matched control a task hears itself in place of its peers.
  bool hears_itself() const { return options.control == Control::matched; }
  /// Whether what this task tells is used by somebody.
  bool tells() const { return me().publishes() || hears_itself(); }
};

/// One thread a rank. Bits must not depend on the number of a task's ranks, given its virtual workers: what is summed over passes is summed
/// by virtual worker first, and passes know nothing of ranks.
class Strategy {
 public:
  virtual ~Strategy() = default;
  /// As TrainingHook has them.
  virtual void begin(const TrainedParameters& parameters) { (void)parameters; }
  virtual void set_alone(bool is_alone) { (void)is_alone; }
  /// That this rank has sent by communicators of the strategy's own.
  virtual std::uint64_t bytes_sent() const { return 0; }
  /// In the pass of a virtual worker. No communication.
  virtual void on_results(const WorkerPass& pass) { (void)pass; }
  /// A term of the loss in the same pass, [], a mean over rows; without value: none. No communication.
  virtual Variable loss_term(const WorkerPass& pass) {
    (void)pass;
    return {};
  }
  /// For strategies in lock-step, as TrainingHook has them. after_gradients() comes at every step of every task: tasks that use it among
  /// each other need equal numbers of steps a tick.
  virtual bool takes_gradients() const { return false; }
  virtual void after_gradients(GradientView& gradient) { (void)gradient; }
  /// Collective over all tasks: waits for what was posted at the tick before, uses it, and posts anew.
  virtual void tick(const Tick& tick) = 0;
  /// Pushes on what was posted, without waiting.
  virtual void advance() {}
  /// Collective over all tasks: waits until what was posted is here, without using it, so that state() holds it.
  virtual void settle() {}
  /// As TrainingHook has them; collective over the task.
  virtual void after_evaluation(const Tick& tick) { (void)tick; }
  virtual double judged_score(double own) { return own; }
  virtual void keep_best() {}
  virtual void use_best() {}
  /// For a checkpoint: tensors that lie here until the next call, named "distill.logits", and one line of text. Equal on all ranks of the
  /// task.
  virtual std::vector<NamedTensor> state() const { return {}; }
  virtual std::string state_text() const { return "none"; }
  /// tick: the one of the checkpoint. Throws CheckpointError.
  virtual void restore(const SafetensorsFile& file, const std::string& text, const Tick& tick) { (void)file, (void)text, (void)tick; }
  virtual std::vector<GuardEvent> guard_events() const { return {}; }
  /// By peer heard: whether the model listened to it at the last keep_best(). Empty: it listens by no strategy of this kind.
  virtual std::vector<bool> kept_open() const { return {}; }
};

/// What a strategy that changes a task's layers knows before the model is made of them.
struct LayersSetup {
  Communicator& sharing;  // as StrategySetup
  Communicator& task;
  const std::vector<TaskInfo>& tasks;
  int number;
  const Shape& in;  // of a row of "x"
  const CollabOptions& options;
};

struct StrategyEntry {
  std::string help;
  bool needs_vectors = false;   // vectors by entity are published and fetched (StrategySetup::publication), "shared" is in the rows
  bool needs_exporter = false;  // every task has one, also one that only listens: "entity" is in the model's results
  std::unique_ptr<Strategy> (*make)(const StrategySetup& setup) = nullptr;
  /// Whether every task waits for all at each of its steps: then all make equal numbers of steps.
  bool (*in_lockstep)(const CollabOptions& options) = nullptr;                 // null: never
  void (*change_layers)(Sequential& own, const LayersSetup& setup) = nullptr;  // collective over all tasks; null: it does not
};

}  // namespace chorale
