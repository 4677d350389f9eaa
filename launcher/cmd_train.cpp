// chorale train
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/train/data/prepare.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  std::string run_dir;
  bool resume = false, overwrite = false, quiet = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("run-dir", w.run_dir, "Folder of the run; by default runs/RECIPE-DATE-TIME.");
  t.add("resume", w.resume, "Go on from the newest checkpoint of --run-dir.");
  t.add("overwrite", w.overwrite, "Replace a run directory that exists.");
  t.add("quiet", w.quiet, "No progress, only warnings and errors.");
}

/// Both tables in one, so that every flag is known in one pass.
struct TrainTable : RecipeTable {
  TrainTable() { describe(table, words); }
  Words words;
};

std::string verdict(const std::string& status, int code) {
  return nlohmann::ordered_json{{"event", "end"}, {"attempt", 1}, {"code", code}, {"cause", status}}.dump();
}

int train_rank(Communicator& comm, TrainTable& t, RunDirectory& run) {
  const Settings& s = t.settings;
  Session session(comm, s.parallel);
  const PreparedData data = prepare_data(s.data, s.train, comm, session.log);
  const auto model = build_layers(s.model.layers, {data.pipeline.features()}, session.registry);
  const auto loss = make_loss(s.train, data.pipeline.class_rows, session.registry);
  const auto optimizer = make_optimizer(s.optimizer, session.registry);
  const std::string recipe = resolved_recipe(t.table);
  TrainerConfig config;
  config.train = s.train, config.parallel = s.parallel, config.checkpoint = s.checkpoint, config.init = s.model.init;
  config.checkpoint_folder = run.checkpoints();
  config.resume = t.words.resume;
  config.identity = t.identity();
  config.identity["data"] = data.identity();
  config.texts = {{"pipeline.json", data.pipeline.to_json()}, {"recipe.ini", recipe}};
  config.stop_requested = stop_requested;
  Trainer trainer({comm, *session.device, *model, *loss, *optimizer, session.registry, session.log, data.train, data.validation, data.test},
                  config);
  Progress progress(on_terminal());
  RunFiles files(run.path(), session.log);
  if (comm.rank() == 0) run.start(recipe);
  comm.barrier("run directory").wait();
  if (!t.words.quiet) trainer.add(progress);
  trainer.add(files);
  const Summary summary = trainer.run();
  const int code = summary.status == "interrupted" ? static_cast<int>(ExitCode::interrupted) : 0;
  if (comm.rank() == 0) {
    run.event(verdict(summary.status, code));
    if (!t.words.quiet) std::fprintf(stderr, "run directory: %s\n", run.path().c_str());
  }
  return code;
}

void take_omp_threads(TrainTable& t, const Surroundings& around) {
  if (around.omp_threads <= 0 || t.table.find("parallel.threads")->given) return;
  t.settings.parallel.threads = around.omp_threads;
  if (around.outer_rank == 0 && around.omp_threads > 1)
    std::fprintf(stderr, "chorale: OMP_NUM_THREADS = %d is taken as --threads\n", around.omp_threads);
}

}  // namespace

int run_train(std::span<const std::string> arguments) {
  TrainTable t, flags;
  const std::vector<std::string> rest = read_flags(arguments, flags.table, 1);
  if (rest.empty()) throw UsageError("train needs a recipe: chorale train RECIPE.ini");
  t.read(rest[0]);
  read_flags(arguments, t.table, 1);
  for (std::string& file : t.settings.data.file)
    file = std::filesystem::absolute(file).lexically_normal().string();  // a flag's is relative to here
  const Surroundings around = look_around();
  take_omp_threads(t, around);
  if (t.words.resume && t.words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  RankPlan plan = plan_ranks(t.words.ranks, around, 0);
  RunDirectory run({.path = t.words.run_dir,
                    .name = std::filesystem::path(rest[0]).stem().string(),
                    .resume = t.words.resume,
                    .overwrite = t.words.overwrite});
  std::vector<std::string> words = {"train"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (t.words.run_dir.empty()) words.insert(words.end(), {"--run-dir", run.path().string()});
  return with_ranks(plan, words, [&](Communicator& comm) { return train_rank(comm, t, run); });
}

std::string train_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  TrainTable all;
  return help_text(table) + "\nEvery key of a recipe is a flag too:\n" + help_text(RecipeTable().table);
}

}  // namespace chorale
