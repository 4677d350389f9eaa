// What a collaboration has come to: one summary of all tasks.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include <chorale/train/callback.hpp>
#include <chorale/train/collab/collab_task.hpp>

namespace chorale {

/// What a task's sharing has cost one of its ranks.
struct SharingCost {
  double seconds = 0;  // of the whole training
  std::int64_t steps_per_tick = 0, ranks = 0;
  std::uint64_t bytes = 0;
  std::int64_t ticks_saved = 0;
};
/// What a rank says of its task: the trainer's summary, sharing, leaks and the guard's events.
nlohmann::ordered_json task_summary(CollabTask& task, const Summary& summary, TaskRole role, const SharingCost& cost);
/// ranks: what each rank of the world says of its task, the task's own summary with its times and bytes of sharing; of a task its first
/// rank's stays. names: of tasks. task_of: by rank.
nlohmann::ordered_json whole_summary(const std::vector<nlohmann::ordered_json>& ranks, const std::vector<std::string>& names,
                                     const std::vector<int>& task_of);
/// Scores by task, for people.
void say_results(const nlohmann::ordered_json& whole, const std::filesystem::path& run);

}  // namespace chorale
