#include <chorale/launcher/doctor/places.hpp>

#include <fmt/format.h>

namespace chorale {

namespace {

std::string ranks_text(int ranks) { return fmt::format("{} {}", ranks, ranks == 1 ? "rank" : "ranks"); }

}  // namespace

Finding judge_slots(const PlaceFacts& p) {
  Finding out;
  const std::string ranks = ranks_text(p.plan.ranks);
  if (p.messages.find("not enough slots") != std::string::npos)
    out = failed("slots", ExitCode::comm, "mpirun has not enough slots for " + ranks,
                 "start fewer, or give hosts more slots: --hosts a:8,b:8; in an allocation ask for more tasks");
  else if (p.plan.how == RankPlan::How::inside)
    out = ok("slots", fmt::format("the outer launcher has given {}", ranks));
  else if (!p.hosts.empty())
    out = ok("slots", fmt::format("{} for as many slots: {}", ranks, hosts_text(p.hosts)));
  else if (p.slurm_tasks > 0 && p.plan.ranks > p.slurm_tasks)
    out = failed("slots", ExitCode::comm, fmt::format("{} in an allocation of {} tasks", ranks, p.slurm_tasks),
                 fmt::format("-n {}, or ask for more: salloc --ntasks {}", p.slurm_tasks, p.plan.ranks));
  else if (p.slurm_tasks > 0)
    out = ok("slots", fmt::format("{} in an allocation of {} tasks", ranks, p.slurm_tasks));
  else if (p.plan.how == RankPlan::How::mpirun && p.plan.crowded)
    out = warning("slots", fmt::format("{} on {} cores: mpirun is told to oversubscribe, waits yield", ranks, p.cores),
                  fmt::format("-n {} or less", p.cores));
  else
    out = ok("slots", fmt::format("{} on {} {}", ranks, p.cores, p.cores == 1 ? "core" : "cores"));
  out.values = {{"ranks", p.plan.ranks}, {"cores", p.cores}};
  if (p.slurm_tasks > 0) out.values["tasks"] = p.slurm_tasks;
  return out;
}

Finding judge_hosts(const std::vector<HostAnswer>& answers) {
  if (answers.empty()) return skipped("hosts", "--hosts names none");
  std::string bad, good;
  for (const HostAnswer& answer : answers) {
    std::string& list = answer.trouble.empty() ? good : bad;
    list += (list.empty() ? "" : "; ") + answer.host.name + (answer.trouble.empty() ? "" : " " + answer.trouble);
  }
  if (!bad.empty())
    return failed(
        "hosts", ExitCode::comm, bad + (good.empty() ? "" : "; fine: " + good),
        "ssh to it without a password (or set OMPI_MCA_plm_rsh_agent), with this build of chorale under the same path; or leave it out");
  return ok("hosts", "each answers and runs this build: " + good);
}

}  // namespace chorale
