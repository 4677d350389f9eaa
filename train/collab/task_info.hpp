// What all ranks know of the tasks of a collaboration, and what a rank knows of its own.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/entity.hpp>

namespace chorale {

enum class TaskRole : std::uint8_t { both, peer, target };
std::string_view name(TaskRole role);
/// Throws UsageError with the three names.
TaskRole parse_role(std::string_view text);

/// Equal on all ranks of the world.
struct TaskInfo {
  std::string name;
  TaskRole role = TaskRole::both;
  std::vector<std::string> kinds;  // of entities
  std::int64_t ranks = 1;
  double weight = 1;       // of its gradients, where tasks train parameters together
  std::int64_t folds = 0;  // it publishes out of fold, from as many models; 0: from its own model
  bool publishes() const { return role != TaskRole::target; }
  bool listens() const { return role != TaskRole::peer; }
};

/// One task's rows. Row numbers of `entities` are those of the table; the data sets' row_id() gives them.
struct TaskRows {
  std::shared_ptr<const Dataset> train, validation, test, all;           // all: every row of the table, once
  std::vector<std::vector<EntityId>> entities;                           // by kind, by row of the table
  std::vector<std::int32_t> periods = {};                                // by row of the table; empty: without time
  std::int32_t scale_before = std::numeric_limits<std::int32_t>::max();  // as Publisher
  std::vector<EntityId> key = {};                                        // of prototypes, by row of the table; empty: none
  std::vector<std::string> features = {};                                // names of a row's x; empty: not known
};

/// Number of the task that each rank of the world trains, tasks in their order on consecutive ranks. Throws UsageError where ranks do not
/// add up to `world`.
std::vector<int> lay_out(const std::vector<TaskInfo>& tasks, int world);

}  // namespace chorale
