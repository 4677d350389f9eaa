// Which checkpoints of a run are left to try, newest first, and what is said of those that are passed over.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/core/io/checkpoint.hpp>

namespace chorale {

/// For one rank alone, which tells the others: another could see another folder on a network file system.
class CheckpointCandidates {
 public:
  /// Leftovers of unfinished checkpoints are warnings. `log` outlives it.
  CheckpointCandidates(std::filesystem::path checkpoints, Log& log);
  /// The next one whose manifest and sizes are sound; its bytes are still to be verified. Empty: there are none at all. Throws
  /// CheckpointError with all reasons when all have been passed over.
  std::optional<Checkpoint> next();
  /// The last one cannot be used: an error line of the log.
  void pass_over(const std::string& why);
  /// The last one is used.
  void take(const Checkpoint& checkpoint);

 private:
  std::filesystem::path checkpoints_;
  Log& log_;
  std::vector<std::int64_t> steps_;
  std::int64_t trying_ = 0;
  std::string reasons_;
};

}  // namespace chorale
