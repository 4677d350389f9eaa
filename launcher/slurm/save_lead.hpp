// How long before its time limit a job must be told to save, from what an earlier run measured.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace chorale {

struct SaveLead {
  std::int64_t seconds = 180;
  std::string reason;  // for the terminal and the script
};

/// The most that a checkpoint, an evaluation and a step took in this run's metrics.jsonl, for an array in those of its seeds, or, where it
/// has none yet, in that of the newest NAME-* beside it: three saves, an evaluation, two steps and half a minute for leaving; at least a
/// minute, at most Slurm's 65535 s. Without such files 180 s.
SaveLead save_lead(const std::filesystem::path& run, const std::string& recipe_name);

/// Throws UsageError when `limit` leaves no time to train: Slurm's signal may come a minute early.
void check_time_limit(std::int64_t limit_seconds, const SaveLead& lead);

}  // namespace chorale
