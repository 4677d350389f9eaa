// chorale doctor: starts ranks, or takes those of an outer launcher, and says what is wrong with the place they run in. It asks itself
// neither MPI nor the network, so that it is there to tell when these hang.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/doctor/directory.hpp>
#include <chorale/launcher/doctor/places.hpp>
#include <chorale/launcher/doctor/report.hpp>
#include <chorale/launcher/doctor/tools.hpp>
#include <chorale/launcher/doctor/world.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/private_folder.hpp>
#include <chorale/launcher/supervisor/launcher_words.hpp>

namespace chorale {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
// Shares of less than 30 s in all: tools and hosts are asked at once, then the ranks; where these do not come together, one rank alone.
constexpr auto kToolsWithin = 3s, kHostsWithin = 5s, kWholeWithin = 24s, kAloneWithin = 7s;

struct Words {
  RankOptions ranks;
  std::string hosts, run_dir;
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("hosts", w.hosts, "Where to start ranks by mpirun: a:4,b:4 or node[1-4]:8.");
  t.add("run-dir", w.run_dir, "Folder that runs are to be written to, tried by all ranks; the working directory where it is not given.");
  t.add("json", w.json, "One object; docs/doctor.md lists its fields.");
}

/// The ranks of an mpirun or srun around us, also of another MPI: that one does not set what ours does.
Surroundings look_around_far() {
  Surroundings around = look_around();
  const char *size = std::getenv("PMI_SIZE"), *rank = std::getenv("PMI_RANK");
  if (around.outer_size == 0 && size && rank) around.outer_size = std::atoi(size), around.outer_rank = std::atoi(rank);
  return around;
}

std::vector<Host> hosts_of(Words& w, const Surroundings& around) {
  if (w.hosts.empty()) return {};
  if (around.outer_size > 0) throw UsageError("--hosts inside an outer launcher; leave it out, its ranks are taken");
  if (w.ranks.launch == "threads" || w.ranks.launch == "srun")
    throw UsageError("--hosts is for mpirun; --launch " + w.ranks.launch + " starts no ranks on hosts of your choice");
  std::vector<Host> hosts = parse_hosts(w.hosts);
  const std::string ranks = std::to_string(ranks_on(hosts));
  if (w.ranks.ranks != "auto" && w.ranks.ranks != ranks)
    throw UsageError("-n " + w.ranks.ranks + " contradicts --hosts, which has " + ranks + " ranks; leave -n out");
  w.ranks.ranks = ranks;
  return hosts;
}

class Doctor {
 public:
  Doctor(Words words, Surroundings around) : words_(std::move(words)), around_(std::move(around)), hosts_(hosts_of(words_, around_)) {
    plan_ = plan_ranks(words_.ranks, around_);
    // Also without an mpirun: that it is not there is a finding.
    if (!hosts_.empty()) plan_.how = RankPlan::How::mpirun, plan_.hosts = hosts_text(hosts_), plan_.crowded = false;
    probe_.directory = std::filesystem::absolute(words_.run_dir.empty() ? "." : words_.run_dir).lexically_normal().string();
    if (probe_.directory.size() > 1 && probe_.directory.ends_with('/')) probe_.directory.pop_back();
    probe_.nonce = new_secret();
  }

  DoctorReport visit() {
    ask_tools();
    WorldOutcome world = ask_ranks();
    const Finding joined = judge_world(world);
    report_.findings.push_back(
        judge_slots({.plan = plan_, .cores = around_.cores, .hosts = hosts_, .slurm_tasks = slurm_tasks(), .messages = world.messages}));
    report_.findings.push_back(why_not_.empty() ? joined : skipped("world", why_not_));
    for (Finding& finding : judge_probes(world.formed || stop_requested() ? world : look_alone(world)))
      report_.findings.push_back(std::move(finding));
    report_.findings.push_back(gnuplot_);
    report_.ranks = plan_.ranks, report_.launcher = launcher();
    report_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    return std::move(report_);
  }

  /// As one of many of an outer launcher: only the first tells.
  void attend() { ask_ranks(); }

 private:
  bool is_inside() const { return plan_.how == RankPlan::How::inside; }
  bool needs_mpirun() const { return plan_.how == RankPlan::How::mpirun; }

  std::string launcher() const {
    switch (plan_.how) {
      case RankPlan::How::inside:
        return around_.slurm_step ? "the outer srun" : "the outer launcher";
      case RankPlan::How::mpirun:
        return "mpirun";
      case RankPlan::How::srun:
        return "srun";
      default:
        return plan_.ranks == 1 ? "this process" : "threads";
    }
  }

  int slurm_tasks() const {
    const char* tasks = std::getenv("SLURM_NTASKS");
    return tasks && std::getenv("SLURM_JOB_ID") ? std::atoi(tasks) : 0;
  }

  void ask_tools() {
    ToolQuestions questions({{"mpirun", "--version"}, {"srun", "--version"}, {"srun", "--mpi=list"}, {"gnuplot", "--version"}},
                            folder_.path());
    const Finding hosts = judge_hosts(hosts_.empty() ? std::vector<HostAnswer>() : ask_hosts(hosts_, kHostsWithin));
    const std::vector<ToolAnswer> tools = questions.answers(kToolsWithin);
    const Wanted wanted = {
        .mpirun = needs_mpirun(), .srun = plan_.how == RankPlan::How::srun, .is_job = std::getenv("SLURM_JOB_ID") != nullptr};
    const std::set<std::string> mpi = loaded_libraries("libmpi.so"), pmix = loaded_libraries("libpmix.so");
    const Finding kind = judge_mpi({.library = mpi_library(), .file = mpi.empty() ? "linked in" : *mpi.begin()}, tools[0], wanted);
    report_.findings = {kind, judge_pmix(pmix_library(), pmix), judge_slurm(tools[1], tools[2], wanted), hosts};
    gnuplot_ = judge_gnuplot(tools[3]);
    if (hosts.state == Finding::State::failed) why_not_ = "not every host can be started on, see hosts";
    if (needs_mpirun() && (tools[0].path.empty() || !tools[0].has_answered)) why_not_ = "mpirun does not answer, see mpi";
  }

  std::chrono::milliseconds left() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(start_ + kWholeWithin - Clock::now());
  }

  WorldOrder order(std::chrono::milliseconds limit) const {
    WorldOrder out = {.launcher = {}, .name = launcher(), .environment = {}, .ranks = {}, .limit = limit, .folder = folder_.path()};
    out.ranks.order = probe_;
    out.ranks.expected = plan_.ranks;
    out.ranks.seconds = std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(limit).count());
    return out;
  }

  WorldOutcome ask_ranks() {
    if (!why_not_.empty()) return {.expected = plan_.ranks, .launcher = launcher()};
    WorldOrder o = order(left());
    if (plan_.how == RankPlan::How::mpirun || plan_.how == RankPlan::How::srun) {
      o.launcher = launcher_words(plan_, folder_.path(), {}), o.environment = launcher_environment(plan_, folder_.path());
      std::erase(o.launcher, "-q");  // here what MPI has to say is wanted
    } else if (!is_inside()) {
      o.ranks.backend = "threads";
    }
    return watch(o);
  }

  /// A folder that hangs holds whoever touches it; so what ranks leave in it when they are ended is removed by another process.
  WorldOutcome watch(const WorldOrder& order) const {
    WorldOutcome out = watch_world(order);
    if (out.under_way != directory_probe().name) return out;
    std::vector<std::string> words = {"rm", "-f", "--"};
    for (std::string& file : nonce_files(probe_.directory, probe_.nonce)) words.push_back(std::move(file));
    int ignored = 0;
    ended_within(start_child(words, {.output = "/dev/null", .messages = "/dev/null"}), 1s, ignored);
    return out;
  }

  /// What can be said of this machine without the others.
  WorldOutcome look_alone(const WorldOutcome& world) {
    WorldOrder o = order(std::min<std::chrono::milliseconds>(left(), kAloneWithin));
    o.ranks.expected = 1, o.ranks.backend = "threads", o.name = "this process";
    if (o.limit < 1s) return world;
    WorldOutcome alone = watch(o);
    for (const Probe& probe : all_probes())
      if (probe.needs_peers || probe.name == "seats") alone.facts.erase(probe.name);
    alone.expected = world.expected, alone.formed = false;
    return alone;
  }

  Clock::time_point start_ = Clock::now();
  Words words_;
  Surroundings around_;
  std::vector<Host> hosts_;
  RankPlan plan_;
  ProbeOrder probe_;
  PrivateFolder folder_;
  std::string why_not_;  // ranks are not started
  Finding gnuplot_;
  DoctorReport report_;
};

}  // namespace

std::string doctor_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table) +
         "\nEach check is ok, a warning, failed, or skipped with the reason. Ends with 0 when nothing failed, else with the code of the "
         "first\n"
         "failure: 75 ranks cannot be started or cannot talk, 74 the folder of runs cannot be used, 70 any other; 64 for wrong usage.\n"
         "Under mpirun or srun (mpirun -np 4 chorale doctor) it looks at the ranks of that launcher. It takes less than 30 s.\n";
}

int run_doctor(std::span<const std::string> arguments) {
  if (!arguments.empty() && arguments[0] == kDoctorRanks) return run_doctor_ranks(arguments.subspan(1));
  Words w;
  OptionTable table;
  describe(table, w);
  read_flags(arguments, table, 0);
  const Surroundings around = look_around_far();
  catch_signals(false);
  Doctor doctor(w, around);
  if (around.outer_size > 0 && around.outer_rank > 0) return doctor.attend(), 0;
  const DoctorReport report = doctor.visit();
  if (stop_requested()) return static_cast<int>(ExitCode::interrupted);
  std::fputs((w.json ? report.json() : report.text()).c_str(), stdout);
  return report.code();
}

}  // namespace chorale
