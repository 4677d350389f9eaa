// One rank of a collaborative run: its task's data, model and trainer, and the sharing with the other tasks.
#pragma once
#include <chorale/comm/communicator.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/run_directory.hpp>

namespace chorale {

struct CollabRunOptions {
  bool resume = false;
  bool quiet = false;
};

/// Collective over all ranks of the run. Returns the run's exit code. Writes tasks/NAME/ (each a folder as a run
/// of its own has), sharing.jsonl and summary.json of the run.
int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options);

}  // namespace chorale
