// Before the first step of a collaboration: how many steps each task makes between ticks, and how many ticks there are.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/steps_per_tick.hpp>
#include <chorale/train/collab/collab_checkpoint.hpp>

namespace chorale {

/// The same on all ranks; the first two by task.
struct CollabPace {
  std::vector<std::int64_t> workers;  // virtual ones
  std::vector<std::int64_t> per_tick;
  TickCount ticks;
};

/// Where all tasks stand at a tick, for a checkpoint, without the steps that they have made.
CollabPosition position_at(std::int64_t tick, const CollabPace& pace, const std::map<std::string, std::string>& identity);

/// Collective over all tasks: a number of each, from its first rank. task_of: by rank.
std::vector<double> by_task(Communicator& sharing, const std::vector<int>& task_of, double mine);

std::vector<std::string> task_names(const std::vector<TaskInfo>& tasks);

struct PaceSetup {
  Communicator &world, &sharing;
  const CollabRecipe& recipe;
  const std::vector<TaskInfo>& infos;
  const std::vector<int>& task_of;        // by rank
  const CollabPosition* resumed;          // null: the run begins
  Log& log;                               // rank 0 of the world speaks
  std::int64_t workers, steps;            // of this rank's task: virtual workers and steps that it asks for
  double longest_tick_s;                  // that it bears
  std::function<double()> trial_step_ms;  // measures a step of this rank's task; collective over all tasks
};

/// Collective. Steps between ticks are those of the checkpoint or of collab.steps_per_tick, else step times are measured. Throws
/// UsageError, equal on all ranks, for keys that differ from the checkpoint's, and where nobody has a step to make.
CollabPace agree_on_pace(const PaceSetup& setup);

}  // namespace chorale
