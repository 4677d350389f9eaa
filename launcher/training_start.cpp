#include <chorale/launcher/training_start.hpp>

#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <future>

#include <chorale/comm/faults.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/room.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/supervisor.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/wait_together.hpp>

namespace chorale {

void describe(OptionTable& t, StartWords& w) {
  describe(t, w.ranks);
  t.add("run-dir", w.run_dir, "Folder of the run; by default runs/RECIPE-DATE-TIME.");
  t.add("resume", w.resume, "Go on from the newest checkpoint of --run-dir.");
  t.add("overwrite", w.overwrite, "Replace a run directory that exists.");
  t.add("restarts", w.restarts,
        "How often to start again from the newest checkpoint when ranks are lost or stuck. Under mpirun and srun that this program starts.",
        {.min = 0, .max = 1e6});
  t.add("hosts", w.hosts, "Where to start ranks by mpirun: a:4,b:4 or node[1-4]:8. Each is asked first whether this program runs there.",
        {.check = [](const std::string& text) { parse_hosts(text); }});
  t.add("min-ranks", w.min_ranks,
        "With --hosts: go on without hosts that do not answer, as long as so many ranks are left; 0: only with all.");
  t.add("prefix", w.elsewhere.prefix, "With --hosts: where Open MPI is installed on them, as mpirun's --prefix.");
  t.add("export", w.elsewhere.exported,
        "With --hosts: a variable of the environment that ranks on them get too, as mpirun's -x NAME. May be given several times. PATH, "
        "LD_LIBRARY_PATH, CHORALE_DATA and OMP_NUM_THREADS are handed on anyway.",
        {.adds_up = true});
  t.add("inject", w.inject,
        "Only for tests of failures: this fault, as KIND@RANK:STEP or KIND@RANK:STEP:WHERE, STEP! to repeat it (docs/faults.md). May be "
        "given several times.",
        {.adds_up = true, .check = [](const std::string& value) {
           for (const std::string& word : words_of(value)) parse_fault(word);
         }});
  t.add("quiet", w.quiet, "No progress, only warnings and errors.");
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

int exit_code_of(const std::string& status) {
  if (status == "interrupted") return static_cast<int>(ExitCode::interrupted);
  return status == "checkpointed" ? static_cast<int>(ExitCode::requeue) : 0;
}

void inject_faults(Communicator& comm, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    if (const int rank = parse_fault(word).rank; rank >= comm.size())
      throw UsageError("--inject " + word + ": there are " + std::to_string(comm.size()) + " ranks");
  if (words.empty()) return;
  // A rank that shares its process cannot be stopped alone.
  std::function<bool()> over;
  if (comm.backend() != "mpi") over = [&comm] { return comm.is_aborted(); };
  comm.watch().inject(std::make_unique<Faults>(words, comm.rank(), std::move(over)));
}

void say_unmet_faults(Communicator& comm, Log& log) {
  if (!comm.watch().faults()) return;
  for (const std::string& word : comm.watch().faults()->unmet())
    if (!word.ends_with(":finalize") && !word.ends_with(":init"))
      log.error("--inject " + word + " was never met: is its place on this run's way?");
}

namespace {

/// Empty: --hosts is not given, or a rank reads what was meant for the process that started it.
std::vector<Host> hosts_of(const StartWords& w, const Surroundings& around) {
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

}  // namespace

int start_training(const TrainingStart& start) {
  StartWords& words = start.words;
  const Surroundings around = look_around();
  if (start.threads) take_omp_threads(start.table.find("parallel.threads"), around, *start.threads);
  if (words.resume && words.run_dir.empty()) throw UsageError("--resume needs --run-dir: which run is to go on?");
  const std::vector<Host> hosts = hosts_of(words, around);
  if (!hosts.empty()) words.ranks.ranks = std::to_string(ranks_on(hosts));
  RankPlan plan = plan_ranks(words.ranks, around);
  plan.elsewhere = words.elsewhere;
  if (!hosts.empty()) plan.crowded = false, plan.note.clear();  // those hosts' cores are not ours
  if (start.check) start.check(plan);
  RunDirectory run({.path = words.run_dir, .name = start.name, .resume = words.resume, .overwrite = words.overwrite});
  std::vector<std::string> argv = start.command;
  argv.insert(argv.end(), start.arguments.begin(), start.arguments.end());
  if (words.run_dir.empty()) argv.insert(argv.end(), {"--run-dir", run.path().string()});
  const std::chrono::milliseconds deadline(static_cast<std::int64_t>(start.watchdog_seconds * 1000));
  const bool starts_ranks = plan.how == RankPlan::How::mpirun || plan.how == RankPlan::How::srun;
  if (!starts_ranks && start.table.find("restarts")->given && !around.started_by_us)
    throw UsageError("--restarts needs ranks that this program starts by mpirun or srun; leave it out" +
                     std::string(around.outer_size > 0 ? ", or start this program without mpirun" : ""));
  if (!around.started_by_us) check_room(plan);
  if (starts_ranks) {
    if (!plan.note.empty()) std::fprintf(stderr, "chorale: %s\n", plan.note.c_str());
    catch_signals(false);
    return Supervisor({.plan = plan,
                       .hosts = hosts,
                       .min_ranks = static_cast<int>(words.min_ranks),
                       .words = argv,
                       .deadline = deadline,
                       .run = run.path(),
                       .restarts = static_cast<int>(words.restarts)})
        .run();
  }
  LastWord last;
  last.at_close([&run] { run.release(); });  // a rank that fails leaves without destructors
  if (plan.how == RankPlan::How::inside && !around.started_by_us) last.expect(run.path());
  return with_ranks(plan, argv, [&](Communicator& comm) { return start.rank_body(comm, run, last); },
                    {.last = &last, .deadline = deadline});
}

}  // namespace chorale
