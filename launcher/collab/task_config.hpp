// How one task of a collaboration is trained: its recipe's settings, with steps and evaluations at ticks.
#pragma once
#include <cstdint>
#include <string>

#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/steps_per_tick.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/data/prepare.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

/// Updates that the recipe asks for.
std::int64_t own_steps(const TrainOptions& train, std::int64_t train_rows);

/// Ticks of a share of all.
std::int64_t ticks_of(double share, const TickCount& ticks);

/// Ticks at the end that SharingPlan::final_ticks asks for; 0 where no fusion could learn on, or too few ticks are left for it.
std::int64_t final_ticks(const CollabRecipe& recipe, const TickCount& ticks);

/// Why they are others than collab.finalise asks for; empty: they are not.
std::string changed_end(const CollabRecipe& recipe, const TickCount& ticks);

/// What a task's trainer has to do with them.
HoldRule hold_at_end(std::int64_t final_ticks, std::int64_t steps_per_tick, const TickCount& ticks, bool begins_late);

/// Without folders, identity and requests of an end, which are the caller's.
TrainerConfig task_config(const Settings& settings, std::int64_t train_rows, std::int64_t steps_per_tick, const TickCount& ticks,
                          bool begins_late);

/// Every row of the table once, beside the three parts.
TaskRows task_rows(const PreparedData& data);

}  // namespace chorale
