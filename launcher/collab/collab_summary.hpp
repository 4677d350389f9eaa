// What a collaboration has come to: one summary of all tasks.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace chorale {

/// ranks: what each rank of the world says of its task, the task's own summary with its times and bytes of sharing; of a task its first
/// rank's stays. names: of tasks. task_of: by rank.
nlohmann::ordered_json whole_summary(const std::vector<nlohmann::ordered_json>& ranks, const std::vector<std::string>& names,
                                     const std::vector<int>& task_of);
/// Scores by task, for people.
void say_results(const nlohmann::ordered_json& whole, const std::filesystem::path& run);

}  // namespace chorale
