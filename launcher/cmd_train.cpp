// chorale train
#include <cstdio>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/start_check.hpp>
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

/// In the exception's handler: the verdict of a run that has failed, in its files. The first error stays the one that counts.
void record_failure(Communicator& comm, const RunDirectory& run, RunFiles& files, ConsoleLog& log) {
  const RankResult failure = describe_failure();
  log.note(LogLevel::error, failure.error);
  if (comm.rank() != 0) return;
  files.failed();
  try {
    run.end({.code = failure.code,
             .cause = failure.error,
             .rank = failure.rank >= 0 ? failure.rank : comm.rank(),
             .where = failure.where,
             .step = files.steps()});
  } catch (const IoError& e) {
    log.warning(e.what());
  }
}

int code_of(const std::string& status) {
  if (status == "interrupted") return static_cast<int>(ExitCode::interrupted);
  return status == "checkpointed" ? static_cast<int>(ExitCode::requeue) : 0;
}

int train_on(Communicator& comm, TrainTable& t, RunDirectory& run, Session& session) {
  const Settings& s = t.settings;
  const std::filesystem::path folder = text_of_rank_0(comm, run.path().string(), "run directory");  // its default holds the time
  const PreparedData data = prepare_data(s.data, s.train, comm, session.log);
  const ModelParts parts = build_parts(s, data.pipeline, session.registry);
  const std::string recipe = resolved_recipe(t.table);
  TrainerConfig config;
  config.train = s.train, config.parallel = s.parallel, config.checkpoint = s.checkpoint, config.init = s.model.init;
  config.checkpoint_folder = (folder / "checkpoints").string();
  config.trace = parse_trace_window(s.train.trace), config.trace_file = (folder / "trace.json").string();
  config.resume = t.words.resume;
  config.identity = t.identity();
  config.identity["data"] = data.identity();
  config.texts = {{"pipeline.json", data.pipeline.to_json()}, {"recipe.ini", recipe}};
  config.stop_requested = requested_stop;
  Trainer trainer({comm, *session.device, *parts.model, *parts.loss, *parts.optimizer, session.registry, session.log, data.train,
                   data.validation, data.test},
                  config);
  Progress progress(settings_table(t.table));
  RunFiles files(folder, session.log);
  if (comm.rank() == 0) run.start(recipe);
  comm.barrier("run directory").wait();
  session.log.open(folder);
  if (!t.words.quiet) trainer.add(progress);
  trainer.add(files);
  try {
    const Summary summary = trainer.run();
    const int code = code_of(summary.status);
    session.log.note(LogLevel::info, summary.status + " after step " + std::to_string(summary.steps));
    if (comm.rank() == 0) {
      run.end({.code = code, .cause = summary.status, .step = summary.steps});
      if (!t.words.quiet) std::fprintf(stderr, "run directory: %s\n", folder.c_str());
    }
    comm.barrier("end of run").wait();  // nobody leaves before rank 0 has written all
    return code;
  } catch (...) {
    record_failure(comm, run, files, session.log);
    throw;
  }
}

int train_rank(Communicator& comm, TrainTable& t, RunDirectory& run) {
  check_start(comm, "train", t.table);
  Session session(comm, t.settings.parallel);
  try {
    return train_on(comm, t, run, session);
  } catch (const UsageError& e) {
    throw UsageError(t.table.located(e.what()));
  }
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
  take_omp_threads(t.table.find("parallel.threads"), around, t.settings.parallel.threads);
  if (t.words.resume && t.words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  RankPlan plan = plan_ranks(t.words.ranks, around);
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
