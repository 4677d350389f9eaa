// What a start of ranks means, and what is left to say where it failed.
#include <fmt/format.h>

#include <algorithm>

#include <chorale/launcher/doctor/world.hpp>

namespace chorale {

namespace {

std::string said(const WorldOutcome& world) { return world.messages.empty() ? "" : "\n" + world.messages; }

Finding verdict(const WorldOutcome& world) {
  constexpr const char* kTwoWays = "use srun --mpi=pmix (libpmix-dev on every node), or mpirun inside sbatch";
  const bool is_slurm = world.launcher.find("srun") != std::string::npos;
  if (!world.wrong_sizes.empty()) {
    const int size = world.wrong_sizes.front();
    return failed("world", ExitCode::comm,
                  fmt::format("{} tasks were started by {}, but MPI sees a world of {}: {}", world.expected, world.launcher, size,
                              is_slurm ? "PMIx did not connect them" : "it is the mpirun of another MPI than this program is linked with"),
                  is_slurm ? kTwoWays : "put the mpirun of the Open MPI that this program is linked with first in PATH, see check mpi");
  }
  if (world.formed) {
    const std::string where = world.nodes > 1 ? fmt::format(" on {} hosts", world.nodes) : "";
    if (world.has_hung)
      return warning("world",
                     fmt::format("{} ranks in one world{}, but {} had not ended 2 s after them", world.expected, where, world.launcher),
                     "chorale ends such a launcher itself; a newer Open MPI may not hang");
    return ok("world",
              fmt::format("{} {} by {} in one world{}", world.expected, world.expected == 1 ? "rank" : "ranks", world.launcher, where));
  }
  if (is_slurm && !world.began.empty() && world.messages.find("PMI") != std::string::npos)
    return failed("world", ExitCode::comm,
                  fmt::format("{} tasks were started by {}, and PMIx did not connect them{}", world.expected, world.launcher, said(world)),
                  kTwoWays);
  if (!world.error.empty())
    return failed("world", ExitCode::comm, fmt::format("MPI does not start: {}{}", world.error, said(world)),
                  "see what MPI says; where a network is at fault, OMPI_MCA_btl_tcp_if_include names the one to use");
  return failed(
      "world", ExitCode::comm,
      fmt::format("{} {}{}{}", world.launcher, world.trouble, world.missing.empty() ? "" : "; " + world.missing, said(world)),
      world.began.empty()
          ? "try it by hand: mpirun -np 2 hostname; a host that asks for a password, a firewall or a full TMPDIR are usual"
          : "ranks start but MPI_Init fails: a setting OMPI_MCA_*, an interface that some hosts do not have, a firewall between them");
}

/// Why a probe has no facts.
Finding without_facts(const std::string& check, const Probe& probe, const WorldOutcome& world) {
  if (world.expected == 1 && probe.needs_peers) return skipped(check, "one rank has no peer; give -n 2 or more");
  if (!world.formed) return skipped(check, "the ranks could not be started, see world");
  if (world.under_way == probe.name) {
    std::string why = world.error;
    if (why.empty() && !world.missing.empty())
      why = fmt::format("not finished within its {} s: {}", probe.share.count() / 1000, world.missing);
    if (why.empty()) why = fmt::format("{} {}", world.launcher, world.trouble);  // it has ended, or there was no more time
    return failed(
        check, ExitCode::comm, why,
        "look at the host that is named, and at its network; with more ranks than cores start fewer; chorale bench comm shows more");
  }
  return skipped(check, world.under_way.empty() ? "no time was left" : "the ranks were stopped in check " + world.under_way);
}

}  // namespace

Finding judge_world(const WorldOutcome& world) {
  Finding out = verdict(world);
  out.values = {{"expected", world.expected}, {"started", world.began.size()}, {"formed", world.formed}, {"hosts", world.nodes}};
  return out;
}

std::vector<Finding> judge_probes(const WorldOutcome& world) {
  std::vector<Finding> out;
  for (const Probe& probe : all_probes()) {
    const auto facts = world.facts.find(probe.name);
    if (facts == world.facts.end()) {
      for (const std::string& check : probe.checks) out.push_back(without_facts(check, probe, world));
      continue;
    }
    try {
      std::vector<Finding> found = probe.judge(facts->second);
      for (Finding& f : found) f.values["seconds"] = world.seconds.at(probe.name), out.push_back(std::move(f));
    } catch (const nlohmann::json::exception&) {
      for (const std::string& check : probe.checks)
        out.push_back(
            failed(check, ExitCode::internal, "the ranks' answer could not be read", "install one build of chorale on all hosts"));
    }
  }
  return out;
}

}  // namespace chorale
