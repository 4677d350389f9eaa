// chorale collab
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>

#include <chorale/comm/crash_watch.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/collab_run.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/start_check.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/wait_together.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  std::string run_dir;
  bool overwrite = false, quiet = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("run-dir", w.run_dir, "Folder of the run; by default runs/RECIPE-DATE-TIME.");
  t.add("overwrite", w.overwrite, "Replace a run directory that exists.");
  t.add("quiet", w.quiet, "No progress, only warnings and errors.");
}

void claim_together(Communicator& comm, RunDirectory& run) {
  std::future<void> claimed;
  if (comm.rank() == 0)
    claimed = std::async(std::launch::async,
                         [&] { run.claim(60, [](const std::string& text) { std::fprintf(stderr, "chorale: %s\n", text.c_str()); }); });
  wait_together(
      comm, [&](std::chrono::milliseconds limit) { return claimed.valid() && claimed.wait_for(limit) != std::future_status::ready; },
      "owner of the run directory");
  if (claimed.valid()) claimed.get();
}

/// The verdict of a run that has failed; the first error stays the one that counts.
void record_failure(Communicator& world, const RunDirectory& run) {
  const RankResult failure = describe_failure(world);
  world.watch().dump(failure.error, false);
  if (world.rank() != 0) return;
  try {
    run.end({.code = failure.code, .cause = failure.error, .rank = std::max(0, failure.rank), .where = failure.where});
  } catch (const Error& e) {
    std::fprintf(stderr, "chorale: warning: %s\n", e.what());
  }
}

int train_rank(Communicator& world, const CollabRecipe& recipe, const Words& w, RunDirectory& run) {
  world.watch().recorder().belongs_to(world.rank(), world.size());
  const CrashWatch crashes(world.watch());
  check_start(world, "collab train", recipe.table);
  Facts facts;
  for (std::size_t t = 0; t < recipe.tasks.size(); ++t)
    for (const Option& option : recipe.tasks[t]->table.all())
      facts.emplace_back("task " + recipe.sections[t]->name + ": " + option.key, option.text());
  check_agreement(world, facts);
  const std::filesystem::path folder = text_from(world, 0, run.path().string(), "run directory");
  claim_together(world, run);
  int code = 0;
  try {
    code = run_collab_rank(world, recipe, run, folder, {.quiet = w.quiet});
  } catch (const UsageError& e) {
    if (world.rank() == 0) run.release();
    throw UsageError(recipe.table.located(e.what()));
  } catch (...) {
    record_failure(world, run);
    if (world.rank() == 0) run.release();
    throw;
  }
  if (world.rank() == 0) run.release();
  return code;
}

}  // namespace

int run_collab(std::span<const std::string> arguments) {
  if (arguments.empty() || arguments[0] != "train") throw UsageError("collab needs a word: chorale collab train RECIPE.ini -n RANKS");
  const std::span<const std::string> rest = arguments.subspan(1);
  CollabRecipe recipe;
  Words w;
  describe(recipe.table, w);
  std::string path;
  for (const std::string& word : rest)  // its sections say which flags there are
    if (path.empty() && !word.starts_with("-") && word.ends_with(".ini")) path = word;
  if (path.empty()) throw UsageError("collab train needs a recipe: chorale collab train RECIPE.ini");
  recipe.declare_tasks_of(path);
  read_flags(rest, recipe.table, 1);
  recipe.read(path);
  read_flags(rest, recipe.table, 1);  // flags beat the recipe
  recipe.resolve(path);
  ::umask(::umask(0) | 027);
  const Surroundings around = look_around();
  if (w.ranks.ranks == "auto" && recipe.wanted_ranks() > 0 && around.outer_size == 0) w.ranks.ranks = std::to_string(recipe.wanted_ranks());
  const RankPlan plan = plan_ranks(w.ranks, around);
  recipe.infos(plan.ranks);  // refused before anything is started
  RunDirectory run({.path = w.run_dir, .name = std::filesystem::path(path).stem().string(), .resume = false, .overwrite = w.overwrite});
  std::vector<std::string> words = {"collab"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (w.run_dir.empty()) words.insert(words.end(), {"--run-dir", run.path().string()});
  if (!plan.note.empty() && !around.started_by_us) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
  catch_signals(false);
  return with_ranks(plan, words, [&](Communicator& world) { return train_rank(world, recipe, w, run); });
}

std::string collab_options() {
  Words w;
  CollabRecipe recipe;
  OptionTable flags;
  describe(flags, w);
  return help_text(flags) + "\nKeys of [collab] in the recipe, which are flags too:\n" + help_text(recipe.table) +
         "\nEach [task.NAME] has recipe, ranks, role (both peer target), entity (KIND : COLUMN, ...), and every key of a recipe\n"
         "(chorale help recipe), which are flags too: --task.NAME.train.seed 2.\n";
}

}  // namespace chorale
