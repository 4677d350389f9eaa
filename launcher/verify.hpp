// Checkpoints read to the last byte, and what was found, for people and scripts.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace chorale {

struct VerifiedCheckpoint {
  std::string folder;
  std::int64_t step = -1;  // -1: its manifest cannot be read
  std::uint64_t bytes = 0;
  std::string damage;  // empty: sound
};

/// A checkpoint, or all of a run directory, ascending: sizes, hashes, and every header. Throws UsageError where there is neither.
std::vector<VerifiedCheckpoint> verify_checkpoints(const std::filesystem::path& run_or_checkpoint);

/// Prints a line each, or with `json` a list; the exit code: 66 when one is damaged.
int report_verified(const std::vector<VerifiedCheckpoint>& checkpoints, bool json);

}  // namespace chorale
