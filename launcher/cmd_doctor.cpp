// chorale doctor: what is wrong with the place that ranks run in.
#include <cstdio>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/doctor/visit.hpp>
#include <chorale/launcher/signals.hpp>

namespace chorale {

namespace {

struct Words {
  RankOptions ranks;
  std::string hosts, run_dir;
  bool json = false;
};

void describe(OptionTable& t, Words& w) {
  describe(t, w.ranks);
  t.add("hosts", w.hosts, "Where to start ranks by mpirun: a:4,b:4 or node[1-4]:8.",
        {.check = [](const std::string& text) { parse_hosts(text); }});
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
  const std::vector<Host> hosts = hosts_of(w, around);
  catch_signals(false);
  DoctorVisit visit({.ranks = w.ranks, .around = around, .hosts = hosts, .run_dir = w.run_dir});
  if (around.outer_size > 0 && around.outer_rank > 0) return visit.attend(), 0;
  const DoctorReport report = visit.report();
  if (stop_requested()) return static_cast<int>(ExitCode::interrupted);
  std::fputs((w.json ? report.json() : report.text()).c_str(), stdout);
  return report.code();
}

}  // namespace chorale
