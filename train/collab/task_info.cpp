#include <chorale/train/collab/task_info.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
constexpr std::array<std::string_view, 3> kRoles = {"both", "peer", "target"};
}  // namespace

std::string_view name(TaskRole role) { return kRoles[static_cast<std::size_t>(role)]; }

TaskRole parse_role(std::string_view text) {
  const auto it = std::find(kRoles.begin(), kRoles.end(), text);
  if (it == kRoles.end()) throw UsageError("role '" + std::string(text) + "' is unknown; allowed: both peer target");
  return static_cast<TaskRole>(it - kRoles.begin());
}

std::vector<int> lay_out(const std::vector<TaskInfo>& tasks, int world) {
  std::vector<int> out;
  for (std::size_t t = 0; t < tasks.size(); ++t) out.insert(out.end(), static_cast<std::size_t>(tasks[t].ranks), static_cast<int>(t));
  if (static_cast<int>(out.size()) == world) return out;
  std::string text;
  for (const TaskInfo& task : tasks) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", task.name, task.ranks);
  throw UsageError(fmt::format("the tasks have {} ranks ({}), the run has {}; start it with -n {}, or change task.NAME.ranks", out.size(),
                               text, world, out.size()));
}

}  // namespace chorale
