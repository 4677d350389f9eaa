#include <chorale/launcher/doctor/builds.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/base/build_id.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/launcher/doctor/probe.hpp>
#include <chorale/launcher/doctor/tools.hpp>

namespace chorale {

namespace {

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  BuildFacts mine = {.rank = comm.rank(),
                     .host = host_name(),
                     .version = CHORALE_VERSION,
                     .build = build_id(),
                     .isa = best_cpu_isa(),
                     .libraries = cpu_libraries(),
                     .mpi_libraries = {}};
  for (const char* name : {"libmpi.so", "libpmix.so"})
    for (const std::string& file : loaded_libraries(name)) mine.mpi_libraries.push_back(file);
  return gather_facts(comm, mine, "doctor builds");
}

Finding judge_build(const std::vector<BuildFacts>& ranks) {
  const BuildFacts& first = ranks.front();
  const auto other = std::find_if(ranks.begin(), ranks.end(), [&](const BuildFacts& r) { return r.build != first.build; });
  if (other != ranks.end())
    return failed("builds", ExitCode::internal,
                  fmt::format("{} runs {} build {}, {} runs {} build {}", rank_text(first.rank, first.host), first.version, first.build,
                              rank_text(other->rank, other->host), other->version, other->build),
                  "install one build of chorale on all hosts; ranks of different builds are refused before step 0");
  return ok("builds", fmt::format("{} build {} on all ranks", first.version, first.build));
}

/// A rank that has two of one kind may speak with the wrong one.
Finding judge_mpi_libraries(const std::vector<BuildFacts>& ranks) {
  const char* remedy = "let LD_LIBRARY_PATH lead to one Open MPI and one PMIx on all hosts";
  for (const BuildFacts& r : ranks) {
    const auto count = [&](const char* name) {
      return std::count_if(r.mpi_libraries.begin(), r.mpi_libraries.end(),
                           [&](const std::string& f) { return f.find(name) != std::string::npos; });
    };
    if (count("libmpi.so") > 1 || count("libpmix.so") > 1)
      return failed("mpi_libraries", ExitCode::comm,
                    fmt::format("{} has loaded more than one of a kind: {}", rank_text(r.rank, r.host), fmt::join(r.mpi_libraries, ", ")),
                    remedy);
    if (r.mpi_libraries != ranks.front().mpi_libraries)
      return warning("mpi_libraries",
                     fmt::format("{} has loaded {}, {} {}", rank_text(ranks.front().rank, ranks.front().host),
                                 fmt::join(ranks.front().mpi_libraries, ", "), rank_text(r.rank, r.host), fmt::join(r.mpi_libraries, ", ")),
                     remedy);
  }
  return ok("mpi_libraries", fmt::format("on all ranks {}", fmt::join(ranks.front().mpi_libraries, ", ")));
}

Finding judge_instructions(const std::vector<BuildFacts>& ranks) {
  const auto by_isa = [](const BuildFacts& a, const BuildFacts& b) { return a.isa < b.isa; };
  const auto [least, best] = std::minmax_element(ranks.begin(), ranks.end(), by_isa);
  if (least->isa != best->isa)
    return warning("instruction_sets",
                   fmt::format("all ranks take {}, the best of {}; {} has {}", cpu_isa_name(least->isa),
                               rank_text(least->rank, least->host), rank_text(best->rank, best->host), cpu_isa_name(best->isa)),
                   "leave the older processors out, or give the faster ones to jobs of their own");
  const BuildFacts& first = ranks.front();
  const auto other = std::find_if(ranks.begin(), ranks.end(), [&](const BuildFacts& r) { return r.libraries != first.libraries; });
  if (other != ranks.end())
    return warning("instruction_sets",
                   fmt::format("{} on all ranks, but {} has {} and {} has {}: small products go without OpenBLAS", cpu_isa_name(first.isa),
                               rank_text(first.rank, first.host), first.libraries, rank_text(other->rank, other->host), other->libraries),
                   "install the same libraries on all hosts, and take hosts of one kind of processor");
  return ok("instruction_sets", fmt::format("{} on all ranks; {}", cpu_isa_name(first.isa), first.libraries));
}

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_builds(facts.get<std::vector<BuildFacts>>()); }

}  // namespace

std::vector<Finding> judge_builds(const std::vector<BuildFacts>& ranks) {
  std::vector<Finding> out = {judge_build(ranks), judge_mpi_libraries(ranks), judge_instructions(ranks)};
  const auto least = std::min_element(ranks.begin(), ranks.end(), [](const BuildFacts& a, const BuildFacts& b) { return a.isa < b.isa; });
  out[0].values["build"] = ranks.front().build;
  out[2].values = {{"chosen", cpu_isa_name(least->isa)}, {"libraries", ranks.front().libraries}};
  return out;
}

Probe builds_probe() {
  return {.name = "builds",
          .checks = {"builds", "mpi_libraries", "instruction_sets"},
          .share = std::chrono::seconds(3),
          .needs_peers = false,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
