// How a study's controls are run where tasks compute with each other in lock-step (trunk, stitch), so that nothing is published which could
// be replaced: others sit in the places of a task's peers, and only that task is scored. Controls of the other strategies are made by
// themselves (CollabOptions::control).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// Who sits in a task's place.
struct Seat {
  std::size_t task = 0;               // whose rows, model and settings
  bool is_copy = false;               // of the scored task, with weights and batches of its own
  bool has_others_labels = false;     // training rows have labels of other training rows: what it learns is nothing
  bool is_frozen = false;             // its layers up to the stitch stay as they were drawn
  bool meets_other_entities = false;  // its rows stand in another order than those of the others
};

/// One run in which all sit down together.
struct ControlRun {
  std::vector<Seat> seats;          // by task
  std::vector<std::size_t> scored;  // tasks whose scores count
};

/// Of one arm and seed: a single run of all tasks, or one for each.
std::vector<ControlRun> control_runs(std::string_view arm, const std::vector<std::string>& strategies, std::size_t tasks);

/// Why an arm says nothing of these strategies, so that a verdict does without it; empty: it does say something.
std::string why_needless(std::string_view arm, const std::vector<std::string>& strategies);

}  // namespace chorale
