// chorale train
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <chorale/comm/crash_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/batch_note.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/find_lr.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/rehearsal.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/start_check.hpp>
#include <chorale/launcher/training_start.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

/// Both tables in one, so that every flag is known in one pass.
struct TrainTable : RecipeTable {
  TrainTable() {
    describe(table, words);
    table.add(
        "find-lr", find_lr,
        "Do not train, but look for a learning rate: it rises from 1e-7 to 10 over 200 updates, until the loss flies off. Prints what "
        "to begin with, and writes find_lr.json.");
    table.add(
        "fast-dev-run", fast_dev_run,
        "Three updates, an evaluation of at most 1024 rows and a checkpoint: whether everything fits together, before it runs for hours.");
    table.add("overfit-batches", overfit_batches,
              "Train on the rows of so many batches, and validate with them: a model that is right learns them by heart. 0: on all.",
              {.min = 0, .max = 1e6});
  }
  StartWords words;
  bool find_lr = false, fast_dev_run = false;
  std::int64_t overfit_batches = 0;
};

/// In the exception's handler: what a run that has failed leaves in its files. The verdict comes when all ranks have been heard.
void record_failure(Communicator& comm, const Trainer& trainer, const std::filesystem::path& folder, RunFiles& files, ConsoleLog& log) {
  const RankResult failure = describe_failure(comm);
  comm.watch().dump(failure.error, false);
  log.note(LogLevel::error, failure.error);
  try {
    if (const auto batch = trainer.batch_in_flight()) write_batch_note(folder, *batch);
  } catch (const Error& e) {
    log.warning(e.what());
  }
  if (comm.rank() == 0) files.failed();
}

int train_on(Communicator& comm, TrainTable& t, RunDirectory& run, LastWord& last, Session& session) {
  const Settings& s = t.settings;
  const std::filesystem::path folder = text_from(comm, 0, run.path().string(), "run directory");  // its default holds the time
  claim_together(comm, run, s.watchdog.seconds, session.log);
  comm.watch().enter(Activity::reading, "data");
  DataParts data = read_data({s.data, s.train, comm, session.log, session.registry});
  comm.watch().enter(Activity::starting, "training");
  if (const std::string left = t.overfit_batches > 0 ? cut_to_batches(s.train, t.overfit_batches, data) : "";
      comm.rank() == 0 && !left.empty())
    session.log.info(left);
  if (const std::string left = t.fast_dev_run ? cut_to_rehearsal(t.settings, data) : ""; comm.rank() == 0 && !left.empty())
    session.log.info(left);
  const ModelParts parts = build_parts(s, data.pipeline, session.registry);
  const std::string recipe = resolved_recipe(t.table);
  TrainerConfig config;
  config.train = s.train, config.parallel = s.parallel, config.checkpoint = s.checkpoint, config.watchdog = s.watchdog,
  config.init = s.model.init, config.lr_factors = s.optimizer.lr_factors;
  config.checkpoint_folder = (folder / "checkpoints").string();
  config.trace = parse_trace_window(s.train.trace), config.trace_file = (folder / "trace.json").string();
  config.resume = t.words.resume;
  config.identity = t.identity();
  // Before "data", which differs too: the message is to name the versions.
  if (const PublishedFeatures& rows = data.pipeline.published; !rows.tasks.empty()) config.identity["collab.rows"] = rows.version;
  config.identity["data"] = data.identity;
  config.texts = {{"pipeline.json", data.pipeline.to_json()}, {"recipe.ini", recipe}};
  config.stop_requested = requested_stop;
  config.still_ours = [&run] { run.must_be_ours(); };
  if (comm.watch().faults()) config.at_save = [&comm](SavePoint point) { comm.watch().at("save:" + std::string(name(point))); };
  const std::string init = start_from({s.train, *parts.model.module, data.pipeline, comm, folder, session.log}, config);
  TrainerParts trainer_parts{comm,        *session.device, *parts.model.module, *parts.loss, *parts.optimizer, session.registry,
                             session.log, data.train,      data.validation,     data.test};
  if (const MultiTask* model = parts.model.multi_task)
    trainer_parts.is_shared = [model](std::string_view parameter) { return model->is_shared(parameter); };
  std::optional<RateFinder> finder;
  if (t.find_lr) finder.emplace().prepare(config, trainer_parts);
  Trainer trainer(trainer_parts, config);
  Progress progress(settings_table(t.table));
  RunFiles files(folder, session.log, [&run] { run.must_be_ours(); });
  if (comm.rank() == 0) run.start(recipe);
  keep_start(init, comm, folder);
  if (!init.empty()) files.add_to_summary("init_from", init);
  files.add_to_summary("data", '"' + content_hash_of(data.identity) + '"');
  begin_last_word(comm, run, folder, last);
  session.log.open(folder);
  comm.watch().recorder().open(folder.string(), comm.rank(), comm.size());
  if (!t.words.quiet) trainer.add(progress);
  trainer.add(files);
  if (finder) trainer.add(*finder);
  try {
    const Summary summary = finder ? finder->run(trainer) : trainer.run();
    if (finder && comm.rank() == 0) {
      write_file_atomically(folder / "find_lr.json", finder->json());
      std::printf("%s\n", finder->text().c_str());
    }
    say_unmet_faults(comm, session.log);
    const int code = exit_code_of(summary.status);
    session.log.note(LogLevel::info, summary.status + " after step " + std::to_string(summary.steps));
    if (comm.rank() == 0) {
      run.end({.code = code, .cause = summary.status, .step = summary.steps});
      if (!t.words.quiet) std::fprintf(stderr, "run directory: %s\n", printable(folder.string()).c_str());
    }
    comm.barrier("end of run").wait();  // nobody leaves before rank 0 has written all
    return code;
  } catch (...) {
    record_failure(comm, trainer, folder, files, session.log);
    throw;
  }
}

int train_rank(Communicator& comm, TrainTable& t, RunDirectory& run, LastWord& last) {
  comm.watch().recorder().belongs_to(comm.rank(), comm.size());
  const CrashWatch crashes(comm.watch());
  inject_faults(comm, t.words.inject);  // the first thing that ranks do together can be hit too
  check_start(comm, "train", t.table);
  Session session(comm, t.settings.parallel, t.settings.watchdog);
  try {
    const int code = train_on(comm, t, run, last, session);
    if (comm.rank() == 0) run.release();
    return code;
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
  if (t.settings.data.format == "text" && !t.table.find("data.split")->given) t.settings.data.split = {"order", "0.8", "0.1", "0.1"};
  if (t.find_lr && t.words.resume) throw UsageError("--find-lr begins with untrained weights; remove --resume");
  if (t.fast_dev_run && t.words.resume) throw UsageError("--fast-dev-run is a run of its own; remove --resume");
  if (t.find_lr || t.fast_dev_run) t.words.restarts = 0;  // they have no run that another start could go on with
  t.settings.data.representations = absolute_representations(t.settings.data.representations, ".");
  t.settings.train.init_from = absolute_run(t.settings.train.init_from, ".");
  make_paths_absolute(t.settings.data, ".");  // a flag's is relative to here
  ::umask(::umask(0) | 027);                  // what a run writes is its owner's, and the group's to read
  return start_training(
      {.command = {"train"},
       .arguments = arguments,
       .name = std::filesystem::path(rest[0]).stem().string(),
       .table = t.table,
       .words = t.words,
       .watchdog_seconds = t.settings.watchdog.seconds,
       .threads = &t.settings.parallel.threads,
       .rank_body = [&](Communicator& comm, RunDirectory& run, LastWord& last) { return train_rank(comm, t, run, last); }});
}

std::string train_options() {
  StartWords w;
  OptionTable table;
  describe(table, w);
  TrainTable all;
  return help_text(table) + "\nEvery key of a recipe is a flag too:\n" + help_text(RecipeTable().table);
}

}  // namespace chorale
