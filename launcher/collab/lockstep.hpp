// Strategies in lock-step: every step of a task waits for all tasks. What that demands of their recipes, and what it costs.
#pragma once
#include <string>
#include <vector>

#include <chorale/launcher/collab/collab_recipe.hpp>

namespace chorale {

/// Whether one of the recipe's strategies goes in lock-step.
bool goes_in_lockstep(const CollabRecipe& recipe);

/// After CollabRecipe::resolve(). Throws UsageError for settings of the tasks that the chosen strategies cannot bear: it names the key,
/// both tasks and both values.
void check_lockstep(const CollabRecipe& recipe);

/// What a step costs where all wait for the slowest, from each task's own step time: "purchase waits 62 % of its time (0.3 of 0.8 ms a
/// step)". Empty: nobody waits 1 %.
std::string waiting_text(const std::vector<std::string>& tasks, const std::vector<double>& step_ms);

}  // namespace chorale
