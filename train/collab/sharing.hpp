// One task's part in sharing: it publishes what its exporter makes of the rows it sees, fetches what its peers have published, and does
// both at ticks. All tasks make the same number of ticks, each after its own number of steps.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/fused_model.hpp>
#include <chorale/train/collab/fetched_rows.hpp>
#include <chorale/train/collab/guard.hpp>
#include <chorale/train/collab/store.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

struct SharingPlan {
  std::int64_t steps_per_tick = 50;
  std::int64_t ticks = 0;          // of the whole run, equal for all tasks
  std::int64_t burn_in_ticks = 0;  // at first all train alone: what comes in is not used
  std::int64_t probe_ticks = 0;    // then the fusion learns alone for so many
  std::int64_t first_tick = 0;     // ticks before this task's first step
  std::int64_t save_ticks = 0;     // ticks between checkpoints of all tasks; 0: only at the end
  std::int64_t sweep_ticks = 10;   // a sweep over all rows of the table takes so many ticks; 0: no sweep
};

/// One thread a rank.
class Sharing final : public TrainingHook {
 public:
  struct Parts {
    Communicator& task;  // the ranks of this task
    Store& store;
    FusedModel& model;
    Device& device;
    DType dtype;
    FusedModel* untrained = nullptr;                  // a control: what publishes, by the sweep alone, in the model's place
    FetchedRows* fetched = nullptr;                   // null: the task does not listen
    std::vector<std::string> kinds = {};              // of the task's entities
    int publisher = -1;                               // in the store; -1: it does not publish
    std::shared_ptr<const Dataset> train, all;        // all: every row of the table
    std::vector<std::vector<std::int32_t>> entities;  // by kind, by row of the table: position among the publisher's ids; -1: none
    std::int64_t virtual_workers = 1;
    std::function<Stop()> wants_stop = {};                               // what this rank has been told
    std::function<void(std::int64_t tick, bool is_good)> on_saved = {};  // collective over all tasks
    Loss* loss = nullptr;                                                // null: no guard
    std::shared_ptr<const Dataset> validation = {};                      // with "shared", for the guard; may be null
    std::vector<std::int64_t> validation_entities = {};                  // by row of it
    std::function<void(const GuardEvent&)> on_guard = {};
  };
  Sharing(Parts parts, const SharingPlan& plan);

  void on_results(std::int64_t worker, std::span<const std::int64_t> rows, const Values& results) override;
  void after_step(std::int64_t step) override;
  bool saves_after(std::int64_t step) const override;
  void after_save(std::int64_t step, bool is_good) override;
  /// As PinnedVersion.
  std::string pinned() const override;
  Stop stop() const override { return stop_; }
  void after_evaluation() override;
  void keep_best() override;
  void use_best() override;
  void after_last_step() override;

  /// A tick of a task that does not train: it takes part with nothing of its own. Collective over all tasks.
  void idle_tick();
  const std::vector<GuardEvent>& guard_events() const { return guard_events_; }
  std::int64_t ticks() const { return ticks_; }
  /// Of this task, for a checkpoint: tensors that lie here until the next call, and a text.
  std::vector<NamedTensor> state() const { return parts_.fetched ? parts_.fetched->state() : std::vector<NamedTensor>{}; }
  std::string state_text() const;
  /// After the store has been restored. Throws CheckpointError.
  void restore(const SafetensorsFile& file, const std::string& text);
  /// Seconds of this rank in ticks so far: waiting for peers and applying, then the sweep.
  double seconds_in_ticks() const { return tick_seconds_; }
  double seconds_in_sweeps() const { return sweep_seconds_; }

 private:
  void tick(bool trains);
  std::int64_t own_notice() const;
  void sweep();
  bool is_burning_in() const { return ticks_ < plan_.burn_in_ticks || ticks_ == 0; }
  void open_or_close();
  Parts parts_;
  SharingPlan plan_;
  EntitySums seen_;
  Guard guard_;
  std::vector<GuardEvent> guard_events_;
  std::vector<bool> kept_open_;
  std::int64_t ticks_ = 0;
  Stop stop_ = Stop::none;  // a rank of some task has been told to stop: every task knows it at the same tick
  double tick_seconds_ = 0, sweep_seconds_ = 0;
};

}  // namespace chorale
