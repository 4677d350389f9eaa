#include <chorale/launcher/slurm/own_job.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace chorale {

namespace {

std::optional<std::uint64_t> job_number(const char* text) {
  std::uint64_t out = 0;
  const char* end = text ? text + std::strlen(text) : nullptr;
  if (!text || *text == '\0') return {};
  const auto [stop, error] = std::from_chars(text, end, out);
  return error == std::errc() && stop == end ? std::optional(out) : std::nullopt;
}

/// Of which Slurm makes no statement about a job: its commands read them.
constexpr std::array<std::string_view, 8> kSettings = {
    "SLURM_CONF",        "SLURM_CONF_SERVER", "SLURM_CLUSTERS",       "SLURM_JWT",
    "SLURM_TIME_FORMAT", "SLURM_EXIT_ERROR",  "SLURM_EXIT_IMMEDIATE", "SLURM_DEBUG_FLAGS"};
/// Wherever they are from, they would be believed to be the new job's.
constexpr std::array<std::string_view, 6> kOfAJob = {"SLURM_JOB_", "SLURM_JOBID", "SLURM_ARRAY_",
                                                     "SLURM_HET_", "SLURM_PACK_", "SLURM_RESTART_COUNT"};
/// Of a rank: its launcher's, and ours.
constexpr std::array<std::string_view, 6> kOfARank = {"PMIX_",           "PMI_",          "OMPI_COMM_WORLD_", "CHORALE_SUPERVISOR",
                                                      "CHORALE_CONTROL", "CHORALE_SECRET"};

}  // namespace

std::string own_job() {
  const char *array = std::getenv("SLURM_ARRAY_JOB_ID"), *task = std::getenv("SLURM_ARRAY_TASK_ID"), *job = std::getenv("SLURM_JOB_ID");
  if (!job) return "";
  const auto of_array = job_number(array), of_task = job_number(task), own = job_number(job);
  const bool is_ours = of_array && of_task && own && *of_array <= *own;  // tasks get their numbers behind their array's
  return is_ours ? std::string(array) + "_" + task : job;
}

std::string own_cluster() {
  const char* name = std::getenv("SLURM_CLUSTER_NAME");
  return name && std::getenv("SLURM_JOB_ID") ? name : "";
}

bool is_for_new_job(std::string_view name) {
  const auto begins = [&](std::string_view start) { return name.starts_with(start); };
  if (std::any_of(kOfAJob.begin(), kOfAJob.end(), begins) || std::any_of(kOfARank.begin(), kOfARank.end(), begins)) return false;
  const bool is_inside = std::getenv("SLURM_JOB_ID") || std::getenv("SLURM_JOBID");
  if (!is_inside || std::find(kSettings.begin(), kSettings.end(), name) != kSettings.end()) return true;
  return !name.starts_with("SLURM_") && !name.starts_with("SLURMD_") && !name.starts_with("SRUN_");
}

}  // namespace chorale
