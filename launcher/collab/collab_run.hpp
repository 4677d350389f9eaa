// One rank of a collaborative run: its task's data, model and trainer, and the sharing with the other tasks.
#pragma once
#include <filesystem>

#include <chorale/comm/communicator.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/run_directory.hpp>

namespace chorale {

struct CollabRunOptions {
  bool quiet = false;
};

/// Collective over all ranks of the run, whose folder is claimed. Returns the run's exit code. Writes tasks/NAME/ (each a folder as a run
/// of its own has), sharing.jsonl and summary.json of the run.
int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, const std::filesystem::path& folder,
                    const CollabRunOptions& options);

}  // namespace chorale
