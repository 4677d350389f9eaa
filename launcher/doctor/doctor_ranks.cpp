#include <chorale/launcher/doctor/doctor_ranks.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <stop_token>
#include <thread>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/control/connection.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/spawn/run_body.hpp>

namespace chorale {

namespace {

constexpr std::string_view kMark = "chorale-doctor ";
using Clock = std::chrono::steady_clock;
constexpr auto kHeartbeatsFor = std::chrono::milliseconds(1500);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// In one piece: launchers mix the lines of ranks, not their parts, as long as each is written at once.
void say(const nlohmann::json& what) {
  const std::string line = std::string(kMark) + what.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void describe(OptionTable& t, DoctorRanks& w) {
  t.add("backend", w.backend, "How ranks are joined.", {.choices = {"mpi", "threads"}});
  t.add("expected", w.expected, "Ranks that were started.", {.min = 1, .max = 65536});
  t.add("seconds", w.seconds, "Until a rank ends itself.", {.min = 1, .max = 60});
  t.add("directory", w.order.directory, "Of runs.");
  t.add("nonce", w.order.nonce, "Part of the names of files.");
}

/// Where a check is about to end without having finished, the rank says twice a second that it lives, and for whom it waits: who is missing
/// cannot say so. Not before: launchers cut long lines of one rank where another one speaks.
class Heartbeat {
 public:
  explicit Heartbeat(Communicator& comm) : thread_([this, &comm](const std::stop_token& over) { run(comm, over); }) {}
  void begin(const Probe& probe) {
    const std::lock_guard lock(mutex_);
    from_ = Clock::now() + probe.share - kHeartbeatsFor;
  }

 private:
  void run(Communicator& comm, const std::stop_token& over) {
    std::unique_lock lock(mutex_);
    while (!woken_.wait_for(lock, over, std::chrono::milliseconds(500), [&] { return over.stop_requested(); })) {
      if (Clock::now() < from_) continue;
      const int awaited = comm.watch().presence().read().awaits;
      say({{"alive", comm.rank()}, {"host", host_name()}, {"process", ::getpid()}, {"awaits", awaited}});
    }
  }
  std::mutex mutex_;
  std::condition_variable_any woken_;
  Clock::time_point from_ = Clock::time_point::max();
  std::jthread thread_;
};

void probe_all(Communicator& comm, const DoctorRanks& w, Clock::time_point start) {
  Heartbeat heartbeat(comm);
  const bool speaks = comm.rank() == 0;
  // Each rank says it: under an outer launcher each has a doctor of its own, who would end it.
  say({{"world", comm.size()}, {"nodes", comm.node_count()}});
  for (const Probe& probe : all_probes()) {
    if (probe.needs_peers && comm.size() == 1) continue;
    std::int32_t goes_on = seconds_since(start) + 1 < static_cast<double>(w.seconds) ? 1 : 0;
    comm.set_timeout_ms(probe.share.count());
    comm.broadcast(buffer_of(std::span(&goes_on, 1)), 0, "doctor goes on").wait();
    if (goes_on == 0) return;
    heartbeat.begin(probe);
    if (speaks) say({{"probe", probe.name}});
    const Clock::time_point began = Clock::now();
    const nlohmann::json facts = probe.ask(comm, w.order);
    if (speaks) say({{"probe", probe.name}, {"facts", facts}, {"seconds", seconds_since(began)}});
  }
  comm.barrier("doctor end").wait();
  if (speaks) say({{"over", true}});
}

/// An error is told before it rises: what comes after may hang.
int rank_body(Communicator& comm, const DoctorRanks& w, Clock::time_point start) {
  try {
    probe_all(comm, w, start);
    return 0;
  } catch (const std::exception& e) {
    say({{"error", e.what()}, {"rank", comm.rank()}});
    throw;
  }
}

int with_mpi(const DoctorRanks& w, Clock::time_point start) {
  std::unique_ptr<Communicator> comm;
  try {
    comm = make_mpi_world();
  } catch (const std::exception& e) {
    say({{"error", e.what()}});
    ::_exit(static_cast<int>(ExitCode::comm));
  }
  if (comm->size() != w.expected) return say({{"world", comm->size()}}), 0;
  const RankResult result = run_body(*comm, [&](Communicator& c) { return rank_body(c, w, start); });
  if (result.error.empty()) return 0;
  std::fflush(nullptr);
  ::_exit(result.code);  // MPI_Finalize would wait for the dead
}

}  // namespace

std::vector<std::string> DoctorRanks::words() const {
  return {
      "doctor",  kDoctorRanks, "--backend",   backend,        "--expected", std::to_string(expected), "--seconds", std::to_string(seconds),
      "--nonce", order.nonce,  "--directory", order.directory};
}

int run_doctor_ranks(std::span<const std::string> arguments) {
  const Clock::time_point start = Clock::now();
  DoctorRanks w;
  OptionTable table;
  describe(table, w);
  read_flags(arguments, table, 0);
  std::signal(SIGALRM, SIG_DFL);
  ::alarm(static_cast<unsigned>(w.seconds) + 1);  // also where the doctor's kill does not reach: on another host
  const Surroundings around = look_around();
  if (!around.slurm_step) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  say({{"began", around.outer_rank}, {"host", host_name()}, {"process", ::getpid()}});
  if (w.backend == "mpi") return with_mpi(w, start);
  return run_threads(static_cast<int>(w.expected), [&](Communicator& comm) { return rank_body(comm, w, start); });
}

nlohmann::json parse_rank_line(const std::string& line) {
  const std::size_t at = line.find(kMark);
  if (at == std::string::npos) return nullptr;
  auto out = nlohmann::json::parse(line.substr(at + kMark.size()), nullptr, false);
  return out.is_object() ? out : nlohmann::json(nullptr);
}

}  // namespace chorale
