#include <chorale/launcher/doctor/doctor_ranks.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/spawn/run_body.hpp>

namespace chorale {

namespace {

constexpr std::string_view kMark = "chorale-doctor ";
using Clock = std::chrono::steady_clock;

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

void probe_all(Communicator& comm, const DoctorRanks& w, Clock::time_point start) {
  const bool speaks = comm.rank() == 0;
  // Each rank says it: under an outer launcher each has a doctor of its own, who would end it.
  say({{"world", comm.size()}, {"nodes", comm.node_count()}});
  for (const Probe& probe : all_probes()) {
    if (probe.needs_peers && comm.size() == 1) continue;
    std::int32_t goes_on = seconds_since(start) + 1 < static_cast<double>(w.seconds) ? 1 : 0;
    comm.set_timeout_ms(probe.share.count());
    comm.broadcast(buffer_of(std::span(&goes_on, 1)), 0, "doctor goes on").wait();
    if (goes_on == 0) return;
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
  say({{"began", around.outer_rank}, {"host", host_name()}});
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
