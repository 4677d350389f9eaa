// What a run directory says of its run: read only, from any machine that sees it, while the run goes on or after it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace chorale {

struct RunStatus {
  /// queued starting running silent saved done early_stopped interrupted failed lost; silent: nothing was written for long, lost: Slurm has
  /// ended the job and the run left no verdict.
  std::string state;
  std::string why;  // of the state, for people
  std::int64_t attempt = 0, code = -1;
  std::int64_t step = 0, total_steps = 0, checkpoint = -1;  // -1: none
  double samples_per_second = 0, seconds_left = -1, quiet_seconds = -1;
  std::string job, job_state;  // Slurm's, where it is there and knows the job
};

/// Of RUN/seed_N that a task of an array has made, also before its ranks have begun. Throws UsageError when the folder holds no run.
RunStatus run_status(const std::filesystem::path& run);

std::string status_text(const RunStatus& status);
std::string status_json(const RunStatus& status);

/// RUN/seed_N of an array of jobs, in the order of their numbers.
std::vector<std::filesystem::path> array_runs(const std::filesystem::path& run);

}  // namespace chorale
