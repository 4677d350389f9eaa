// Which checkpoints of a run stay. Pure: the caller reads the folder and removes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include <chorale/core/io/manifest.hpp>

namespace chorale {

struct Retention {
  std::int64_t last = 2;   // the newest; 1 at least
  std::int64_t best = 0;   // those of the best score
  std::int64_t every = 0;  // those whose step is a multiple; 0: none
};

struct RatedCheckpoint {
  std::int64_t step = 0;
  std::optional<CheckpointScore> score = {};
};

/// The steps to remove, ascending. Scores count where they have the name of the newest that has one; of equal scores the earlier is better.
std::vector<std::int64_t> outdated(std::span<const RatedCheckpoint> checkpoints, const Retention& retention);

/// What lies in a folder of checkpoints, ascending by step. A manifest that cannot be read gives no score.
std::vector<RatedCheckpoint> rated_checkpoints(const std::filesystem::path& checkpoints);

}  // namespace chorale
