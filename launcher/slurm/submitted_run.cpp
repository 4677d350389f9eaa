#include <chorale/launcher/slurm/submitted_run.hpp>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_events.hpp>
#include <chorale/launcher/run_lock.hpp>
#include <chorale/launcher/run_status.hpp>
#include <chorale/launcher/slurm/job_state.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> with_seeds(const fs::path& run) {
  std::vector<fs::path> out = array_runs(run);
  out.insert(out.begin(), run);
  return out;
}

using JobOfCluster = std::pair<std::string, std::string>;

/// The last job that was submitted for it and the last that has begun, each with its cluster, without an array's tasks: their array's
/// number stands for all.
std::set<JobOfCluster> jobs_of(const fs::path& run) {
  JobOfCluster submitted, begun;
  for_each_event(run, [&](const nlohmann::ordered_json& json, int) {
    const std::string event = text_in(json, "event"), job = text_in(json, "job");
    const JobOfCluster named(job.substr(0, job.find('_')), text_in(json, "cluster"));
    if (event == "submit") submitted = named;
    if (event == "start") begun = named;
  });
  std::set<JobOfCluster> out;
  for (const JobOfCluster& each : {submitted, begun})
    if (!each.first.empty()) out.insert(each);
  return out;
}

/// 0: there is no checkpoint that is one.
std::int64_t workers_of_checkpoint(const fs::path& run) {
  std::vector<std::int64_t> steps = list_checkpoints(run / "checkpoints").steps;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      const Checkpoint checkpoint = described_step(run / "checkpoints", *step);
      const std::int64_t workers = whole_in(nlohmann::ordered_json::parse(checkpoint.manifest().fields), "virtual_workers");
      if (workers > 0) return workers;
    } catch (const CheckpointError&) {  // training passes it over too, and says so
    }
  }
  return 0;
}

std::int64_t workers_of_one(const fs::path& run) {
  if (const std::int64_t workers = workers_of_checkpoint(run); workers > 0) return workers;
  std::error_code ignored;
  if (!fs::is_regular_file(run / "recipe.resolved.ini", ignored)) return 0;
  RecipeTable recipe;
  recipe.read((run / "recipe.resolved.ini").string());
  return recipe.settings.parallel.virtual_workers;
}

}  // namespace

void must_have_no_job(const fs::path& run) {
  std::set<JobOfCluster> jobs;
  for (const fs::path& each : with_seeds(run)) jobs.merge(jobs_of(each));
  for (const auto& [job, cluster] : jobs)
    if (const JobState state = job_state(job, cluster); state.is_live())
      throw OwnedError("run directory " + run.string() + " belongs to job " + job + ", which is " + state.text() +
                       "; wait for its end, end it by scancel " + job + ", or give another --run-dir");
}

void must_be_unlocked(const fs::path& run) {
  const RunOwner mine = this_owner(60);
  const std::function<void(const std::string&)> say = [](const std::string& text) {
    std::fprintf(stderr, "chorale: %s\n", printable(text).c_str());
  };
  for (const fs::path& each : with_seeds(run)) RunLock::must_be_free({each, mine, say});
}

std::int64_t virtual_workers_of(const fs::path& run) {
  std::int64_t found = 0;
  for (const fs::path& each : with_seeds(run)) {
    const std::int64_t workers = workers_of_one(each);
    if (workers > 0 && found > 0 && workers != found)
      throw UsageError("the seeds of " + run.string() + " have " + std::to_string(found) + " and " + std::to_string(workers) +
                       " virtual workers; say by --parallel.virtual_workers with which to go on, or submit each seed's folder alone");
    if (workers > 0) found = workers;
  }
  return found;
}

}  // namespace chorale
