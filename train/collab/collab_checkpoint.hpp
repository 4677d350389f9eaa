// One checkpoint of all tasks. Each task writes its own, by way of its trainer, in tasks/NAME/checkpoints/step_N; what they share lies in
// RUN/checkpoints/step_T, T being the number of the tick: the store, what was posted and not yet applied, the rows that each task has
// pinned, and which step of each task belongs to it. That folder's rename is what makes the checkpoint: tasks' folders that no tick names
// are no part of anything.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/io/retention.hpp>
#include <chorale/train/collab/collab_task.hpp>

namespace chorale {

/// Where a tick left each task, and what may not change at a resume.
struct CollabPosition {
  std::int64_t tick = 0, burn_in = 0;
  std::vector<std::int64_t> steps_per_tick, steps, virtual_workers;  // by task; steps 0: it had not begun
  std::map<std::string, std::string> identity;
};

/// The newest tick that holds this step of a task. run: the run directory. Empty: none does. Throws CheckpointError for a manifest that is
/// of no collaboration.
std::optional<std::int64_t> tick_with(const std::filesystem::path& run, std::size_t task, std::int64_t step);

/// One thread a rank; calls are collective over all tasks.
class CollabCheckpoints {
 public:
  struct Setup {
    Communicator& sharing;
    std::filesystem::path run;
    std::vector<std::string> tasks;
    std::vector<int> task_of;  // by rank of `sharing`
    Retention retention;
    std::function<void()> still_ours = {};  // on rank 0
    Log& log;
  };
  explicit CollabCheckpoints(Setup setup) : setup_(std::move(setup)) {}
  /// Where this task's trainer writes.
  std::filesystem::path folder_of(std::size_t task) const { return setup_.run / "tasks" / setup_.tasks[task] / "checkpoints"; }

  /// The newest tick of which every part is sound; what is passed over is said. Tasks' checkpoints that belong to no later tick than it are
  /// kept, later ones go: the trainers resume from the newest that they find. Empty: there is none. Throws CheckpointError where there are
  /// some and none is sound.
  std::optional<CollabPosition> choose();
  /// After choose(), when the task has been made: gives the store and the hook their state back.
  void restore(const CollabPosition& position, CollabTask& task);
  /// All tasks have written theirs (is_good on every rank) for this tick: commits it, and removes what the retention does not keep. A
  /// failure leaves the ticks before as they are; it is a warning the first time.
  void commit(const CollabPosition& position, CollabTask& task, bool is_good);
  std::int64_t committed() const { return committed_; }

 private:
  std::optional<CollabPosition> newest_sound();
  std::string write(const CollabPosition& position, CollabTask& task, const std::vector<std::vector<std::byte>>& parts);
  void remove_unnamed();
  Setup setup_;
  std::int64_t committed_ = 0;
  bool has_failed_ = false;
};

}  // namespace chorale
