// Names in the folder `checkpoints` of a run: step_N is a checkpoint, step_N.tmp.* something unfinished or on its way out.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// "step_1200"
std::string checkpoint_name(std::int64_t step);

struct CheckpointListing {
  std::vector<std::int64_t> steps;               // ascending
  std::vector<std::filesystem::path> leftovers;  // step_N.tmp.*: of attempts that died, or of one that is at work
};

/// Empty when there is no such folder. Throws IoError when it cannot be read.
CheckpointListing list_checkpoints(const std::filesystem::path& checkpoints);

/// Removes all leftovers that have `part` in their name. Only for who owns the run directory: another attempt's draft would go too.
void remove_leftovers(const std::filesystem::path& checkpoints, std::string_view part = {});

/// Removes a checkpoint so that no half of it can be taken for one: it is renamed to step_N.tmp.removed.TOKEN first.
void remove_checkpoint(const std::filesystem::path& checkpoints, std::int64_t step, const std::string& token);

}  // namespace chorale
