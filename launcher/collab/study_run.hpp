// A study on one or many ranks: its runs are independent, each rank takes some, and what is done already is not done again.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/study_result.hpp>

namespace chorale {

struct StudyPlace {
  std::filesystem::path folder;
  std::string name;     // of the recipe
  std::string command;  // that makes the study
};

/// Collective. Runs what of `keys` the folder lacks, in runs/, and writes study.json, study.md and study.svg. Returns 0, or 130 after a
/// request to stop, when a second start goes on. Throws UsageError where the folder holds runs of another recipe or other data.
int run_study_rank(Communicator& world, const CollabRecipe& recipe, const std::vector<StudyKey>& keys, const StudyPlace& place);

}  // namespace chorale
