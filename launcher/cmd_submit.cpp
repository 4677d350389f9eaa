// chorale submit: a recipe as a job of Slurm.
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/slurm/batch_script.hpp>
#include <chorale/launcher/slurm/program_call.hpp>
#include <chorale/launcher/slurm/shell_word.hpp>
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

/// All settings, so that the job trains what was submitted, whatever becomes of the recipe meanwhile. Without virtual workers of its own
/// the run takes as many as ranks were asked for: it keeps its bits when it goes on with fewer.
std::string job_recipe(SubmitTable& t, std::int64_t ranks) {
  if (t.settings.parallel.virtual_workers == 0) t.settings.parallel.virtual_workers = ranks;
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
  const auto answer = call_program({"sbatch", "--parsable", "job.sh"}, run.string(), std::chrono::seconds(60));
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
  const std::string name = fs::path(rest[0]).stem().string();
  const JobRequest job = checked(t.words.job, name, t.settings.parallel.threads);
  if (t.words.resume && t.words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  RunDirectory directory({.path = t.words.run_dir, .name = name, .resume = t.words.resume});
  const fs::path run = fs::absolute(directory.path()).lexically_normal();
  check_run_folder(run.string());
  const SaveLead lead = save_lead(run, name);
  check_time_limit(job.seconds, lead);
  const std::string recipe = job_recipe(t, job.ranks());
  const std::string script = batch_script(job, lead, {.run = run.string(), .program = fs::read_symlink("/proc/self/exe").string()});
  if (t.words.dry_run) return std::fputs(script.c_str(), stdout), 0;
  const bool was_there = fs::exists(run);
  std::error_code failed;
  if (!was_there && (!fs::create_directories(run, failed) || ::chmod(run.c_str(), 0750) != 0))
    throw IoError(run.string() + ": cannot be made: " + failed.message());
  try {
    write_file_atomically(run / "job.ini", recipe);
    write_file_atomically(run / "job.sh", script);
    const std::string id = submit(run);
    directory.submitted(id);
    report(job, lead, id, run);
  } catch (...) {
    if (!was_there) fs::remove_all(run, failed);
    throw;
  }
  return 0;
}

std::string submit_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table) + "\nEvery key of a recipe is a flag too; chorale help recipe lists them.\n";
}

}  // namespace chorale
