// chorale collab
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

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
#include <chorale/launcher/start_check.hpp>
#include <chorale/launcher/training_start.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

namespace {

int train_rank(Communicator& world, const CollabRecipe& recipe, const StartWords& w, RunDirectory& run, LastWord& last) {
  world.watch().recorder().belongs_to(world.rank(), world.size());
  const CrashWatch crashes(world.watch());
  inject_faults(world, w.inject);
  check_start(world, "collab train", recipe.table);
  Facts facts;
  for (std::size_t t = 0; t < recipe.tasks.size(); ++t)
    for (const Option& option : recipe.tasks[t]->table.all())
      facts.emplace_back("task " + recipe.sections[t]->name + ": " + option.key, option.text());
  check_agreement(world, facts);
  try {
    const int code = run_collab_rank(world, recipe, run, last, {.resume = w.resume, .quiet = w.quiet});
    if (world.rank() == 0) run.release();
    return code;
  } catch (const UsageError& e) {
    throw UsageError(recipe.table.located(e.what()));
  }
}

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
  StartWords w;
  describe(recipe.table, w);
  const std::string path = recipe_among(arguments, "collab train");
  read_all(recipe, arguments, path);
  ::umask(::umask(0) | 027);
  if (w.ranks.ranks == "auto" && w.hosts.empty() && recipe.wanted_ranks() > 0 && look_around().outer_size == 0)
    w.ranks.ranks = std::to_string(recipe.wanted_ranks());
  double watchdog_seconds = 0;
  for (const auto& task : recipe.tasks) watchdog_seconds = std::max(watchdog_seconds, task->settings.watchdog.seconds);
  return start_training(
      {.command = {"collab", "train"},
       .arguments = arguments,
       .name = std::filesystem::path(path).stem().string(),
       .table = recipe.table,
       .words = w,
       .watchdog_seconds = watchdog_seconds,
       .check = [&](const RankPlan& plan) { recipe.infos(plan.ranks); },
       .rank_body = [&](Communicator& world, RunDirectory& run, LastWord& last) { return train_rank(world, recipe, w, run, last); }});
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
  t.add("arms", w.study.arms,
        "Which arms: alone matched collab unguarded disjoint shuffled untrained pooled, and in one process shared_bottom mmoe ple. Empty: "
        "all.");
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
    return run_study_rank(world, recipe, keys, {.folder = w.out, .name = name, .command = "chorale " + list_text(words)});
  });
}

}  // namespace

int run_collab(std::span<const std::string> arguments) {
  if (!arguments.empty() && arguments[0] == "train") return run_collab_train(arguments.subspan(1));
  if (!arguments.empty() && arguments[0] == "study") return run_collab_study(arguments.subspan(1));
  throw UsageError("collab needs a word: chorale collab train RECIPE.ini, or chorale collab study RECIPE.ini");
}

std::string collab_options() {
  StartWords w;
  StudyWords study;
  CollabRecipe recipe;
  OptionTable flags, study_flags;
  describe(flags, w);
  describe(study_flags, study);
  return "collab train RECIPE.ini\n" + help_text(flags) + "\ncollab study RECIPE.ini\n" + help_text(study_flags) +
         "\nKeys of [collab] in the recipe, which are flags too:\n" + help_text(recipe.table) +
         "\nEach [task.NAME] has recipe, ranks, role (both peer target), entity (KIND : COLUMN, ...), columns (short for data.columns),\n"
         "folds, time, weight, at_end (cycle serve mask), and every key of a recipe (chorale help recipe), which are flags too:\n"
         "--task.NAME.train.seed 2.\n";
}

}  // namespace chorale
