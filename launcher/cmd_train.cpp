// chorale train
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>

#include <chorale/comm/crash_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/batch_note.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/room.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/run_lock.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/start_check.hpp>
#include <chorale/launcher/supervisor/supervisor.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/prepare.hpp>
#include <chorale/train/trainer.hpp>
#include <chorale/train/wait_together.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  std::string run_dir;
  bool resume = false, overwrite = false, quiet = false;
  std::int64_t restarts = 3, min_ranks = 0;
  std::string hosts;
  Elsewhere elsewhere;
  std::vector<std::string> inject;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("run-dir", w.run_dir, "Folder of the run; by default runs/RECIPE-DATE-TIME.");
  t.add("resume", w.resume, "Go on from the newest checkpoint of --run-dir.");
  t.add("overwrite", w.overwrite, "Replace a run directory that exists.");
  t.add("restarts", w.restarts,
        "How often to start again from the newest checkpoint when ranks are lost or stuck. Under mpirun and srun that this program starts.",
        {.min = 0, .max = 1e6});
  t.add("hosts", w.hosts, "Where to start ranks by mpirun: a:4,b:4 or node[1-4]:8. Each is asked first whether this program runs there.");
  t.add("min-ranks", w.min_ranks,
        "With --hosts: go on without hosts that do not answer, as long as so many ranks are left; 0: only with all.");
  t.add("prefix", w.elsewhere.prefix, "With --hosts: where Open MPI is installed on them, as mpirun's --prefix.");
  t.add("export", w.elsewhere.exported,
        "With --hosts: a variable of the environment that ranks on them get too, as mpirun's -x NAME. May be given several times. PATH, "
        "LD_LIBRARY_PATH, CHORALE_DATA and OMP_NUM_THREADS are handed on anyway.",
        {.adds_up = true});
  t.add("inject", w.inject,
        "Only for tests of failures: this fault, as KIND@RANK:STEP or KIND@RANK:STEP:WHERE, STEP! to repeat it (docs/faults.md). May be "
        "given several "
        "times.",
        {.adds_up = true, .check = [](const std::string& value) {
           for (const std::string& word : words_of(value)) parse_fault(word);
         }});
  t.add("quiet", w.quiet, "No progress, only warnings and errors.");
}

/// Both tables in one, so that every flag is known in one pass.
struct TrainTable : RecipeTable {
  TrainTable() { describe(table, words); }
  Words words;
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

/// Collective: all ranks know the attempt that rank 0 has begun, and by which lock.
void begin_last_word(Communicator& comm, const RunDirectory& run, const std::filesystem::path& folder, LastWord& last) {
  const std::optional<RunOwner> owner = comm.rank() == 0 ? RunLock::holder(folder) : std::nullopt;
  const std::string text = text_from(comm, 0, owner ? std::to_string(run.attempt()) + " " + owner_json(*owner) : "", "run directory");
  const std::size_t blank = text.find(' ');
  if (blank == std::string::npos) return;
  if (const auto first = parse_owner(text.substr(blank + 1))) last.begin(folder, std::stoi(text), *first);
}

/// Rank 0 looks who owns the folder, which may take minutes; the others wait.
void claim_together(Communicator& comm, RunDirectory& run, double deadline_s, Log& log) {
  std::future<void> claimed;
  const auto say = [&](const std::string& text) { log.warning(text); };
  if (comm.rank() == 0) claimed = std::async(std::launch::async, [&] { run.claim(deadline_s, say); });
  const auto works = [&](std::chrono::milliseconds limit) {
    return claimed.valid() && claimed.wait_for(limit) != std::future_status::ready;
  };
  wait_together(comm, works, "owner of the run directory");
  if (claimed.valid()) claimed.get();
}

int code_of(const std::string& status) {
  if (status == "interrupted") return static_cast<int>(ExitCode::interrupted);
  return status == "checkpointed" ? static_cast<int>(ExitCode::requeue) : 0;
}

void inject(Communicator& comm, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    if (const int rank = parse_fault(word).rank; rank >= comm.size())
      throw UsageError("--inject " + word + ": there are " + std::to_string(comm.size()) + " ranks");
  if (words.empty()) return;
  // A rank that shares its process cannot be stopped alone.
  std::function<bool()> over;
  if (comm.backend() != "mpi") over = [&comm] { return comm.is_aborted(); };
  comm.watch().inject(std::make_unique<Faults>(words, comm.rank(), std::move(over)));
}

void say_unmet(Communicator& comm, Log& log) {
  if (!comm.watch().faults()) return;
  for (const std::string& word : comm.watch().faults()->unmet())
    if (!word.ends_with(":finalize") && !word.ends_with(":init"))
      log.error("--inject " + word + " was never met: is its place on this run's way?");
}

int train_on(Communicator& comm, TrainTable& t, RunDirectory& run, LastWord& last, Session& session) {
  const Settings& s = t.settings;
  const std::filesystem::path folder = text_from(comm, 0, run.path().string(), "run directory");  // its default holds the time
  claim_together(comm, run, s.watchdog.seconds, session.log);
  comm.watch().enter(Activity::reading, "data");
  const PreparedData data = prepare_data(s.data, s.train, comm, session.log);
  comm.watch().enter(Activity::starting, "training");
  const ModelParts parts = build_parts(s, data.pipeline, session.registry);
  const std::string recipe = resolved_recipe(t.table);
  TrainerConfig config;
  config.train = s.train, config.parallel = s.parallel, config.checkpoint = s.checkpoint, config.watchdog = s.watchdog,
  config.init = s.model.init;
  config.checkpoint_folder = (folder / "checkpoints").string();
  config.trace = parse_trace_window(s.train.trace), config.trace_file = (folder / "trace.json").string();
  config.resume = t.words.resume;
  config.identity = t.identity();
  config.identity["data"] = data.identity();
  config.texts = {{"pipeline.json", data.pipeline.to_json()}, {"recipe.ini", recipe}};
  config.stop_requested = requested_stop;
  config.still_ours = [&run] { run.must_be_ours(); };
  if (comm.watch().faults()) config.at_save = [&comm](SavePoint point) { comm.watch().at("save:" + std::string(name(point))); };
  Trainer trainer({comm, *session.device, *parts.model, *parts.loss, *parts.optimizer, session.registry, session.log, data.train,
                   data.validation, data.test},
                  config);
  Progress progress(settings_table(t.table));
  RunFiles files(folder, session.log, [&run] { run.must_be_ours(); });
  if (comm.rank() == 0) run.start(recipe);
  begin_last_word(comm, run, folder, last);
  session.log.open(folder);
  comm.watch().recorder().open(folder.string(), comm.rank(), comm.size());
  if (!t.words.quiet) trainer.add(progress);
  trainer.add(files);
  try {
    const Summary summary = trainer.run();
    say_unmet(comm, session.log);
    const int code = code_of(summary.status);
    session.log.note(LogLevel::info, summary.status + " after step " + std::to_string(summary.steps));
    if (comm.rank() == 0) {
      run.end({.code = code, .cause = summary.status, .step = summary.steps});
      if (!t.words.quiet) std::fprintf(stderr, "run directory: %s\n", folder.c_str());
    }
    comm.barrier("end of run").wait();  // nobody leaves before rank 0 has written all
    return code;
  } catch (...) {
    record_failure(comm, trainer, folder, files, session.log);
    throw;
  }
}

/// Empty: --hosts is not given, or a rank reads what was meant for the process that started it.
std::vector<Host> hosts_of(const Words& w, const Surroundings& around) {
  if (around.started_by_us) return {};
  if (w.hosts.empty() && w.min_ranks != 0) throw UsageError("--min-ranks says without which hosts to go on; it needs --hosts");
  if (w.hosts.empty() && !(w.elsewhere.prefix.empty() && w.elsewhere.exported.empty()))
    throw UsageError("--prefix and -x say how ranks start on other hosts; they need --hosts");
  if (w.hosts.empty()) return {};
  handed_on(w.elsewhere);  // a name that is not set is refused now
  if (around.outer_size > 0) throw UsageError("--hosts inside an outer launcher; leave it out, its ranks are taken");
  if (w.ranks.launch == "threads" || w.ranks.launch == "srun")
    throw UsageError("--hosts is for mpirun; --launch " + w.ranks.launch + " starts no ranks on hosts of your choice");
  std::vector<Host> hosts = parse_hosts(w.hosts);
  if (w.ranks.ranks != "auto" && w.ranks.ranks != std::to_string(ranks_on(hosts)))
    throw UsageError("-n " + w.ranks.ranks + " contradicts --hosts, which has " + std::to_string(ranks_on(hosts)) + " ranks; leave -n out");
  if (w.min_ranks < 0 || w.min_ranks > ranks_on(hosts))
    throw UsageError("--min-ranks " + std::to_string(w.min_ranks) + " is refused: --hosts has " + std::to_string(ranks_on(hosts)) +
                     " ranks");
  return hosts;
}

int train_rank(Communicator& comm, TrainTable& t, RunDirectory& run, LastWord& last) {
  comm.watch().recorder().belongs_to(comm.rank(), comm.size());
  const CrashWatch crashes(comm.watch());
  inject(comm, t.words.inject);  // the first thing that ranks do together can be hit too
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
  for (std::string& file : t.settings.data.file)
    file = std::filesystem::absolute(file).lexically_normal().string();  // a flag's is relative to here
  ::umask(::umask(0) | 027);                                             // what a run writes is its owner's, and the group's to read
  const Surroundings around = look_around();
  take_omp_threads(t.table.find("parallel.threads"), around, t.settings.parallel.threads);
  if (t.words.resume && t.words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  const std::vector<Host> hosts = hosts_of(t.words, around);
  if (!hosts.empty()) t.words.ranks.ranks = std::to_string(ranks_on(hosts));
  RankPlan plan = plan_ranks(t.words.ranks, around);
  plan.elsewhere = t.words.elsewhere;
  if (!hosts.empty()) plan.crowded = false, plan.note.clear();  // those hosts' cores are not ours
  RunDirectory run({.path = t.words.run_dir,
                    .name = std::filesystem::path(rest[0]).stem().string(),
                    .resume = t.words.resume,
                    .overwrite = t.words.overwrite});
  std::vector<std::string> words = {"train"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (t.words.run_dir.empty()) words.insert(words.end(), {"--run-dir", run.path().string()});
  const bool starts_ranks = plan.how == RankPlan::How::mpirun || plan.how == RankPlan::How::srun;
  if (!starts_ranks && t.table.find("restarts")->given && !around.started_by_us)
    throw UsageError("--restarts needs ranks that this program starts by mpirun or srun; leave it out" +
                     std::string(around.outer_size > 0 ? ", or start this program without mpirun" : ""));
  if (!around.started_by_us) check_room(plan);
  if (starts_ranks) {
    if (!plan.note.empty()) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
    catch_signals(false);
    return Supervisor({.plan = plan,
                       .hosts = hosts,
                       .min_ranks = static_cast<int>(t.words.min_ranks),
                       .words = words,
                       .silence = std::chrono::milliseconds(static_cast<std::int64_t>(t.settings.watchdog.seconds * 1000)) +
                                  std::chrono::seconds(5),
                       .run = run.path(),
                       .restarts = static_cast<int>(t.words.restarts)})
        .run();
  }
  LastWord last;
  last.at_close([&run] { run.release(); });  // a rank that fails leaves without destructors
  return with_ranks(
      plan, words, [&](Communicator& comm) { return train_rank(comm, t, run, last); }, &last);
}

std::string train_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  TrainTable all;
  return help_text(table) + "\nEvery key of a recipe is a flag too:\n" + help_text(RecipeTable().table);
}

}  // namespace chorale
