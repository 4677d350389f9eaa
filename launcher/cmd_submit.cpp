// chorale submit: a recipe as a job of Slurm.
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/folder_guard.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/slurm/batch_script.hpp>
#include <chorale/launcher/slurm/own_job.hpp>
#include <chorale/launcher/slurm/program_call.hpp>
#include <chorale/launcher/slurm/shell_word.hpp>
#include <chorale/launcher/slurm/submitted_run.hpp>
#include <chorale/train/data/representations.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

struct Words {
  JobWords job;
  std::string run_dir;
  bool resume = false, dry_run = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.job);
  t.add("run-dir", w.run_dir, "Folder of the run, seen by all nodes; by default runs/RECIPE-DATE-TIME.");
  t.add("resume", w.resume, "Go on with the run in --run-dir.");
  t.add("dry-run", w.dry_run, "Print the script; write and submit nothing.");
}

struct SubmitTable : RecipeTable {
  SubmitTable() { describe(table, words); }
  Words words;
};

/// Without virtual workers of its own a new run takes as many as ranks were asked for, and one that goes on those that it has: it keeps its
/// bits. Throws UsageError for more ranks than that, which the job's ranks would refuse when they have waited in the queue.
void settle_virtual_workers(SubmitTable& t, const std::string& run, std::int64_t ranks) {
  std::int64_t& workers = t.settings.parallel.virtual_workers;
  const bool is_given = workers > 0;
  const std::int64_t kept = t.words.resume && !is_given ? virtual_workers_of(run) : 0;
  if (!is_given) workers = kept > 0 ? kept : ranks;
  if (ranks <= workers) return;
  const std::string most = std::to_string(workers), wanted = std::to_string(ranks);
  throw UsageError(wanted + " ranks for " + most + " virtual workers" +
                   (kept > 0 ? ", which " + run + " was begun with; ask for at most " + most +
                                   " ranks, or give --parallel.virtual_workers " + wanted + ", which resumes with other bits"
                             : "; ask for at most as many ranks, or give a greater --parallel.virtual_workers"));
}

/// All settings, so that the job trains what was submitted, whatever becomes of the recipe meanwhile.
std::string job_recipe(const SubmitTable& t) {
  for (const Option& option : t.table.all()) refuse_control_characters(option.key, option.text());
  return resolved_recipe(t.table);
}

/// Slurm expands marks in the whole path of the output, folder included, and has no way to quote them there.
void check_run_folder(const std::string& run) {
  if (run.find_first_of("%\\") == std::string::npos) return;
  throw UsageError("the run directory '" + run + "' is refused: Slurm reads % and \\ in it as marks of its own; choose another --run-dir");
}

/// Slurm's number of the job.
std::string submit(const fs::path& run) {
  const auto answer = call_program(
      {.words = {"sbatch", "--parsable", "job.sh"}, .folder = run.string(), .limit = std::chrono::seconds(60), .hands_on = is_for_new_job});
  if (!answer) throw UsageError("sbatch cannot be started: is this a machine that submits to Slurm? --dry-run shows the script");
  std::string id = answer->output.substr(0, answer->output.find_first_of(";\n"));
  if (answer->code != 0 || id.empty() || id.find_first_not_of("0123456789") != std::string::npos)
    throw UsageError("sbatch refuses the job with " + std::to_string(answer->code) + ": " + answer->messages);
  return id;
}

void report(const JobRequest& job, const SaveLead& lead, const std::string& id, const fs::path& run) {
  const bool is_array = !job.seeds.empty();
  std::printf("job %s: %lld nodes of %lld ranks, told to save %lld s before its limit (%s)\n", id.c_str(),
              static_cast<long long>(job.nodes), static_cast<long long>(job.ranks_per_node), static_cast<long long>(lead.seconds),
              lead.reason.c_str());
  std::printf("  follow   chorale status %s\n", printable(run.string()).c_str());
  std::printf("  output   tail -F %s/slurm-%s%s.out\n", printable(run.string()).c_str(), id.c_str(), is_array ? "_SEED" : "");
  std::printf("  stop     scancel %s\n", id.c_str());
}

struct Job {
  JobRequest request;
  SaveLead lead;
  std::string recipe, script;
};

/// Another submit into the folder waits, and then finds our job.
void submit_into(const fs::path& run, const Job& job, const RunDirectory& directory) {
  std::error_code failed;
  const bool is_new = fs::create_directories(run, failed);
  if (failed) throw IoError(run.string() + ": cannot be made: " + failed.message());
  const FolderGuard guard(run);
  must_have_no_job(run);
  try {
    write_file_atomically(run / "job.ini", job.recipe);
    write_file_atomically(run / "job.sh", job.script);
    const std::string id = submit(run);
    directory.submitted(id);
    report(job.request, job.lead, id, run);
  } catch (...) {
    if (is_new) fs::remove_all(run, failed);
    throw;
  }
}

Job planned(SubmitTable& t, const std::string& name, const fs::path& run) {
  Job job;
  job.request = checked(t.words.job, name, t.settings.parallel.threads);
  check_run_folder(run.string());
  job.lead = save_lead(run, name);
  check_time_limit(job.request.seconds, job.lead);
  settle_virtual_workers(t, run.string(), job.request.ranks());
  job.recipe = job_recipe(t);
  job.script = batch_script(job.request, job.lead, {.run = run.string(), .program = fs::read_symlink("/proc/self/exe").string()});
  return job;
}

}  // namespace

int run_submit(std::span<const std::string> arguments) {
  SubmitTable t, flags;
  const std::vector<std::string> rest = read_flags(arguments, flags.table, 1);
  if (rest.empty()) throw UsageError("submit needs a recipe: chorale submit RECIPE.ini --nodes 2 --ranks-per-node 4 --time 04:00:00");
  t.read(rest[0]);
  read_flags(arguments, t.table, 1);
  t.settings.data.representations = absolute_representations(t.settings.data.representations, ".");
  t.settings.train.init_from = absolute_run(t.settings.train.init_from, ".");
  make_paths_absolute(t.settings.data, ".");
  ::umask(::umask(0) | 027);  // as train has it; sbatch opens the job's output by it too
  const std::string name = fs::path(rest[0]).stem().string();
  if (t.words.resume && t.words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  // Before "exists", which would be the smaller part of the truth.
  if (!t.words.dry_run && !t.words.run_dir.empty()) must_have_no_job(t.words.run_dir), must_be_unlocked(t.words.run_dir);
  const RunDirectory directory({.path = t.words.run_dir, .name = name, .resume = t.words.resume, .may_overwrite = false});
  const fs::path run = fs::absolute(directory.path()).lexically_normal();
  const Job job = planned(t, name, run);
  if (t.words.dry_run) return std::fputs(job.script.c_str(), stdout), 0;
  submit_into(run, job, directory);
  return 0;
}

std::string submit_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table) + "\nEvery key of a recipe is a flag too; chorale help recipe lists them.\n";
}

}  // namespace chorale
