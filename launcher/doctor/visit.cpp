#include <chorale/launcher/doctor/visit.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/launcher/doctor/directory.hpp>
#include <chorale/launcher/doctor/places.hpp>
#include <chorale/launcher/doctor/tools.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/launcher_words.hpp>

namespace chorale {

namespace {

using namespace std::chrono_literals;
// Shares of less than 30 s in all: tools and hosts are asked at once, then the ranks; where these do not come together, one rank alone.
constexpr auto kToolsWithin = 3s, kHostsWithin = 5s, kWholeWithin = 24s, kAloneWithin = 7s;

/// Of the allocation; 0: this is none.
int slurm_tasks() {
  const char* tasks = std::getenv("SLURM_NTASKS");
  return tasks && std::getenv("SLURM_JOB_ID") ? std::atoi(tasks) : 0;
}

std::string absolute_folder(const std::string& folder) {
  std::string out = std::filesystem::absolute(folder.empty() ? "." : folder).lexically_normal().string();
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

}  // namespace

DoctorVisit::DoctorVisit(Order order) : order_(std::move(order)), plan_(plan_ranks(order_.ranks, order_.around)) {
  // Also without an mpirun: that it is not there is a finding.
  if (!order_.hosts.empty()) plan_.how = RankPlan::How::mpirun, plan_.hosts = hosts_text(order_.hosts), plan_.crowded = false;
  probe_ = {.directory = absolute_folder(order_.run_dir), .nonce = new_secret()};
}

DoctorReport DoctorVisit::report() {
  ask_tools();
  WorldOutcome world = ask_ranks();
  const Finding joined = judge_world(world);
  report_.findings.push_back(judge_slots(
      {.plan = plan_, .cores = order_.around.cores, .hosts = order_.hosts, .slurm_tasks = slurm_tasks(), .messages = world.messages}));
  report_.findings.push_back(why_not_.empty() ? joined : skipped("world", why_not_));
  for (Finding& finding : judge_probes(world.formed || stop_requested() ? world : look_alone(world)))
    report_.findings.push_back(std::move(finding));
  report_.findings.push_back(gnuplot_);
  report_.ranks = plan_.ranks, report_.launcher = launcher();
  report_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return std::move(report_);
}

std::string DoctorVisit::launcher() const {
  switch (plan_.how) {
    case RankPlan::How::inside:
      return order_.around.slurm_step ? "the outer srun" : "the outer launcher";
    case RankPlan::How::mpirun:
      return "mpirun";
    case RankPlan::How::srun:
      return "srun";
    default:
      return plan_.ranks == 1 ? "this process" : "threads";
  }
}

void DoctorVisit::ask_tools() {
  ToolQuestions questions({{"mpirun", "--version"}, {"srun", "--version"}, {"srun", "--mpi=list"}, {"gnuplot", "--version"}},
                          folder_.path());
  const Finding hosts = judge_hosts(order_.hosts.empty() ? std::vector<HostAnswer>() : ask_hosts(order_.hosts, kHostsWithin));
  const std::vector<ToolAnswer> tools = questions.answers(kToolsWithin);
  const Wanted wanted = {.mpirun = plan_.how == RankPlan::How::mpirun,
                         .srun = plan_.how == RankPlan::How::srun,
                         .is_job = std::getenv("SLURM_JOB_ID") != nullptr};
  const std::set<std::string> mpi = loaded_libraries("libmpi.so"), pmix = loaded_libraries("libpmix.so");
  const Finding kind = judge_mpi({.library = mpi_library(), .file = mpi.empty() ? "linked in" : *mpi.begin()}, tools[0], wanted);
  report_.findings = {kind, judge_pmix(pmix_library(), pmix), judge_slurm(tools[1], tools[2], wanted), hosts};
  gnuplot_ = judge_gnuplot(tools[3]);
  if (hosts.state == Finding::State::failed) why_not_ = "not every host can be started on, see hosts";
  if (wanted.mpirun && (tools[0].path.empty() || !tools[0].has_answered)) why_not_ = "mpirun does not answer, see mpi";
}

std::chrono::milliseconds DoctorVisit::left() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(start_ + kWholeWithin - Clock::now());
}

WorldOrder DoctorVisit::world_order(std::chrono::milliseconds limit) const {
  WorldOrder out = {.launcher = {}, .name = launcher(), .environment = {}, .ranks = {}, .limit = limit, .folder = folder_.path()};
  out.ranks.order = probe_;
  out.ranks.expected = plan_.ranks;
  out.ranks.seconds = std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(limit).count());
  return out;
}

WorldOutcome DoctorVisit::ask_ranks() const {
  if (!why_not_.empty()) return {.expected = plan_.ranks, .launcher = launcher()};
  WorldOrder o = world_order(left());
  if (plan_.how == RankPlan::How::mpirun || plan_.how == RankPlan::How::srun) {
    o.launcher = launcher_words(plan_, folder_.path(), {}), o.environment = launcher_environment(plan_, folder_.path());
    std::erase(o.launcher, "-q");  // here what MPI has to say is wanted
  } else if (plan_.how != RankPlan::How::inside) {
    o.ranks.backend = "threads";
  }
  return watch(o);
}

/// A folder that hangs holds whoever touches it; so what ranks leave in it when they are ended is removed by another process.
WorldOutcome DoctorVisit::watch(const WorldOrder& order) const {
  WorldOutcome out = watch_world(order);
  if (out.under_way != directory_probe().name) return out;
  std::vector<std::string> words = {"rm", "-f", "--"};
  for (std::string& file : nonce_files(probe_.directory, probe_.nonce)) words.push_back(std::move(file));
  int ignored = 0;
  ended_within(start_child(words, {.output = "/dev/null", .messages = "/dev/null"}), 1s, ignored);
  return out;
}

/// What can be said of this machine without the others.
WorldOutcome DoctorVisit::look_alone(const WorldOutcome& world) const {
  WorldOrder o = world_order(std::min<std::chrono::milliseconds>(left(), kAloneWithin));
  o.ranks.expected = 1, o.ranks.backend = "threads", o.name = "this process";
  if (o.limit < 1s) return world;
  WorldOutcome alone = watch(o);
  for (const Probe& probe : all_probes())
    if (probe.needs_peers || probe.name == "seats") alone.facts.erase(probe.name);
  alone.expected = world.expected, alone.formed = false;
  return alone;
}

}  // namespace chorale
