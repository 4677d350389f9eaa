// The driver of ticks: one task's strategies, called in the order in which they were listed, at the same ticks on all ranks of all tasks.
// All tasks make the same number of ticks, each after its own number of steps.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/collab/affinity.hpp>
#include <chorale/train/collab/strategy.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

/// One thread a rank.
class Sharing final : public TrainingHook {
 public:
  struct Parts {
    Communicator& sharing;  // all ranks of all tasks, for what the driver itself has to say: 8 bytes a rank and tick
    Communicator& task;     // the ranks of this task
    std::vector<std::unique_ptr<Strategy>> strategies;
    Publication* publication = nullptr;                                  // null: nobody needs vectors by entity
    Affinity* affinity = nullptr;                                        // null: nobody wants to know
    std::function<TaskNews()> news = {};                                 // what it tells, without steps and stage
    std::function<std::string()> pinned = {};                            // as TrainingHook::pinned
    std::function<Stop()> wants_stop = {};                               // what this rank has been told
    std::function<void(std::int64_t tick, bool is_good)> on_saved = {};  // collective over all tasks
  };
  Sharing(Parts parts, const SharingPlan& plan);

  void on_results(const WorkerPass& pass) override;
  /// The sum of the strategies' terms, in their order.
  Variable loss_term(const WorkerPass& pass) override;
  bool takes_gradients() const override;
  void after_gradients(GradientView& gradient) override;
  void begin(const TrainedParameters& parameters) override;
  void set_alone(bool is_alone) override;
  std::uint64_t bytes_sent() const;
  void between_layers() override;
  void after_step(std::int64_t step) override;
  bool saves_after(std::int64_t step) const override;
  /// A task that makes steps of which nothing comes has no use for scores that begin anew.
  bool goes_back() const override { return !is_masked_at_end(); }
  void after_save(std::int64_t step, bool is_good) override;
  std::string pinned() const override { return parts_.pinned ? parts_.pinned() : ""; }
  Stop stop() const override { return stop_; }
  void after_evaluation() override;
  double judged_score(double own) override;
  void keep_best() override;
  void use_best() override;
  void after_last_step() override;

  /// A tick of a task that does not train yet: it takes part with nothing of its own. Collective over all tasks.
  void idle_tick();
  std::vector<GuardEvent> guard_events() const;
  std::int64_t ticks() const { return tick_.number; }
  /// That this task has made.
  std::int64_t steps() const { return steps_; }
  /// By peer heard: whether the model listened to it when the best weights were kept.
  std::vector<bool> kept_open() const;
  /// Collective over all tasks: waits for what is under way, so that state() holds it.
  void settle();
  /// Of this task, for a checkpoint: tensors that lie here until the next call, and a text.
  std::vector<NamedTensor> state() const;
  std::string state_text() const;
  /// After the store has been restored. Throws CheckpointError.
  void restore(const SafetensorsFile& file, const std::string& text);
  /// Seconds of this rank in ticks and with gradients of tasks so far: waiting for peers and applying, then the sweep.
  double seconds_in_ticks() const { return tick_seconds_; }
  double seconds_in_sweeps() const { return sweep_seconds_; }
  /// Of those in ticks: until what was posted at the tick before is here.
  double seconds_waiting() const { return waiting_seconds_; }

 private:
  /// What a task does at a tick.
  struct Part {
    bool trains = true, publishes = true, hears = true;
  };
  void tick(const Part& part);
  void serve();
  void finalise(bool hears);
  bool is_masked_at_end() const;
  bool has_ended() const;
  bool ends_all(std::int64_t tick) const { return plan_.ticks > 0 && tick >= plan_.ticks; }
  void count(std::int64_t ticks, bool trains);
  void push();
  void hear_notices();
  void post_notice();
  Parts parts_;
  SharingPlan plan_;
  TaskStage stage() const;
  Tick tick_;
  std::int64_t steps_ = 0, since_best_ = 0;  // evaluations without a better one
  bool is_saved_ = true;                     // what a task that serves has written at its end
  Stop stop_ = Stop::none;                   // a rank of some task has been told to stop: every task knows it at the same tick
  double tick_seconds_ = 0, sweep_seconds_ = 0, waiting_seconds_ = 0;
  std::int64_t notice_ = 0;            // this rank's, under way
  std::vector<std::int64_t> notices_;  // by rank
  bool has_posted_ = false;
  std::chrono::steady_clock::time_point pushed_;
  Work notice_work_;  // last: it goes first, while its buffers are there
};

}  // namespace chorale
