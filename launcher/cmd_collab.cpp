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
#include <chorale/launcher/collab/study_plan.hpp>
#include <chorale/launcher/collab/study_run.hpp>
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

namespace {

/// The recipe among the words: its sections say which flags there are.
std::string recipe_among(std::span<const std::string> words, const std::string& command) {
  for (const std::string& word : words)
    if (!word.starts_with("-") && word.ends_with(".ini")) return word;
  throw UsageError(command + " needs a recipe: chorale " + command + " RECIPE.ini");
}

void read_all(CollabRecipe& recipe, std::span<const std::string> words, const std::string& path) {
  recipe.declare_tasks_of(path);
  read_flags(words, recipe.table, 1);
  recipe.read(path);
  read_flags(words, recipe.table, 1);  // flags beat the recipe
  recipe.resolve(path);
}

int run_collab_train(std::span<const std::string> arguments) {
  CollabRecipe recipe;
  Words w;
  describe(recipe.table, w);
  const std::string path = recipe_among(arguments, "collab train");
  read_all(recipe, arguments, path);
  ::umask(::umask(0) | 027);
  const Surroundings around = look_around();
  if (w.ranks.ranks == "auto" && recipe.wanted_ranks() > 0 && around.outer_size == 0)
    w.ranks.ranks = std::to_string(recipe.wanted_ranks());
  const RankPlan plan = plan_ranks(w.ranks, around);
  recipe.infos(plan.ranks);  // refused before anything is started
  RunDirectory run({.path = w.run_dir, .name = std::filesystem::path(path).stem().string(), .resume = false, .overwrite = w.overwrite});
  std::vector<std::string> words = {"collab", "train"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (w.run_dir.empty()) words.insert(words.end(), {"--run-dir", run.path().string()});
  if (!plan.note.empty() && !around.started_by_us) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
  catch_signals(false);
  return with_ranks(plan, words, [&](Communicator& world) { return train_rank(world, recipe, w, run); });
}

struct StudyWords {
  RankOptions ranks;
  StudyOptions study;
  std::string out;
  bool overwrite = false;
};

void describe(OptionTable& t, StudyWords& w) {
  describe(t, w.ranks);
  t.add("out", w.out, "Folder of the study; by default studies/RECIPE. What it holds already is not run again.");
  t.add("seeds", w.study.seeds, "Runs of each arm, in pairs with those of the others.", {.min = 1, .max = 1e6});
  t.add("arms", w.study.arms, "Which arms: alone matched collab unguarded disjoint shuffled untrained pooled. Empty: all.");
  t.add("labels", w.study.labels,
        "Numbers of training labels, or all, of tasks with role = target, and of all tasks where none has it: 100 300 all.");
  t.add("every", w.study.every, "Values of collab.every to try beside the recipe's.");
  t.add("width", w.study.width, "Values of collab.width to try beside the recipe's.");
}

int run_collab_study(std::span<const std::string> arguments) {
  CollabRecipe recipe;
  StudyWords w;
  describe(recipe.table, w);
  const std::string path = recipe_among(arguments, "collab study");
  read_all(recipe, arguments, path);
  const std::string name = std::filesystem::path(path).stem().string();
  if (w.out.empty()) w.out = "studies/" + name;
  const std::vector<StudyKey> keys = plan_study(w.study, recipe.settings.every, recipe.settings.width);
  const RankPlan plan = plan_ranks(w.ranks, look_around());
  std::vector<std::string> words = {"collab", "study"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  catch_signals(false);
  return with_ranks(plan, words, [&](Communicator& world) {
    check_start(world, "collab study", recipe.table);
    return run_study_rank(world, recipe, keys, {.folder = w.out, .name = name});
  });
}

}  // namespace

int run_collab(std::span<const std::string> arguments) {
  if (!arguments.empty() && arguments[0] == "train") return run_collab_train(arguments.subspan(1));
  if (!arguments.empty() && arguments[0] == "study") return run_collab_study(arguments.subspan(1));
  throw UsageError("collab needs a word: chorale collab train RECIPE.ini, or chorale collab study RECIPE.ini");
}

std::string collab_options() {
  Words w;
  StudyWords study;
  CollabRecipe recipe;
  OptionTable flags, study_flags;
  describe(flags, w);
  describe(study_flags, study);
  return "collab train RECIPE.ini\n" + help_text(flags) + "\ncollab study RECIPE.ini\n" + help_text(study_flags) +
         "\nKeys of [collab] in the recipe, which are flags too:\n" + help_text(recipe.table) +
         "\nEach [task.NAME] has recipe, ranks, role (both peer target), entity (KIND : COLUMN, ...), and every key of a recipe\n"
         "(chorale help recipe), which are flags too: --task.NAME.train.seed 2.\n";
}

}  // namespace chorale
