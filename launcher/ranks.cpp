#include <chorale/launcher/ranks.hpp>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/affinity.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

void describe(OptionTable& table, RankOptions& options) {
  table.add("ranks", options.ranks, "Ranks to run: a number, or auto for one a physical core.");
  table.add("launch", options.launch, "Who starts the ranks; auto takes an outer launcher's, else mpirun, else threads.",
            {.choices = {"auto", "threads", "mpirun", "srun"}});
}

namespace {

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : 0;
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string folders = path ? path : "";
  for (std::size_t at = 0; at <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    if (::access((folders.substr(at, end - at) + "/" + program).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

/// 0: as many as the surroundings say.
int wanted_ranks(const std::string& text) {
  if (text == "auto") return 0;
  char* end = nullptr;
  const long n = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end || n < 1 || n > 65536) throw UsageError("-n " + text + " is refused: expected a number of at least 1, or auto");
  return static_cast<int>(n);
}

}  // namespace

Surroundings look_around() {
  Surroundings s;
  s.outer_size = number_in("OMPI_COMM_WORLD_SIZE");
  s.outer_rank = number_in("OMPI_COMM_WORLD_RANK"), s.local_rank = number_in("OMPI_COMM_WORLD_LOCAL_RANK");
  if (s.outer_size == 0 && std::getenv("SLURM_STEP_ID") && std::getenv("SLURM_PROCID")) {
    s.outer_size = number_in("SLURM_STEP_NUM_TASKS") ? number_in("SLURM_STEP_NUM_TASKS") : number_in("SLURM_NTASKS");
    s.outer_rank = number_in("SLURM_PROCID"), s.local_rank = number_in("SLURM_LOCALID");
    s.slurm_step = true;
  }
  s.is_on_one_node =
      s.outer_size > 0 && (s.slurm_step ? number_in("SLURM_STEP_NUM_NODES") == 1 : number_in("OMPI_COMM_WORLD_LOCAL_SIZE") == s.outer_size);
  s.started_by_us = std::getenv("CHORALE_CONTROL") != nullptr;
  s.cores = static_cast<int>(own_cores().size());
  s.has_mpirun = on_path("mpirun");
  s.has_srun = on_path("srun") && std::getenv("SLURM_JOB_ID");
  if (const char* threads = std::getenv("OMP_NUM_THREADS")) s.omp_threads = threads;
  return s;
}

void take_omp_threads(const Option* given, const Surroundings& around, std::int64_t& threads) {
  if (around.omp_threads.empty() || (given && given->given)) return;
  const bool speaks = around.outer_rank == 0 && !around.started_by_us;  // else the starting process has said it
  const int n = std::atoi(around.omp_threads.c_str());
  if (n < 1 || n > 1024) {
    if (speaks)
      std::fprintf(stderr, "chorale: warning: OMP_NUM_THREADS = %s is no number of threads and is ignored\n", around.omp_threads.c_str());
    return;
  }
  threads = n;
  if (speaks) std::fprintf(stderr, "chorale: OMP_NUM_THREADS = %d is taken as --threads\n", n);
}

RankPlan plan_ranks(const RankOptions& options, const Surroundings& around) {
  RankPlan plan;
  const int wanted = wanted_ranks(options.ranks);
  if (around.outer_size > 0) {
    if (options.launch != "auto" && !around.started_by_us)
      throw UsageError("--launch " + options.launch + " inside an outer launcher; leave it out, its ranks are taken");
    if (wanted > 0 && wanted != around.outer_size && !around.started_by_us)
      throw UsageError(
          fmt::format("-n {} contradicts the outer launcher, which started {} ranks; leave -n out", wanted, around.outer_size));
    plan.how = RankPlan::How::inside;
    plan.ranks = around.outer_size;
    return plan;
  }
  plan.ranks = wanted > 0 ? wanted : around.cores;
  plan.crowded = plan.ranks > around.cores;
  if (plan.crowded)
    plan.note = fmt::format("{} ranks share {} physical cores: waits will yield, and steps take longer", plan.ranks, around.cores);
  if (options.launch == "srun" && !around.has_srun)
    throw UsageError("--launch srun needs a Slurm allocation and srun on PATH; use salloc or sbatch, or --launch mpirun");
  if (options.launch == "mpirun" && !around.has_mpirun)
    throw UsageError("--launch mpirun: there is no mpirun on PATH; install openmpi-bin, or use --launch threads");
  if (plan.ranks == 1 && options.launch == "auto") return plan;
  if (options.launch == "threads")
    plan.how = RankPlan::How::threads;
  else if (options.launch == "srun")
    plan.how = RankPlan::How::srun;
  else
    plan.how = around.has_mpirun ? RankPlan::How::mpirun : RankPlan::How::threads;
  return plan;
}

int terminal_columns() {
  if (std::getenv("CHORALE_TERMINAL")) return number_in("CHORALE_TERMINAL");
  if (!::isatty(STDERR_FILENO)) return 0;
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace chorale
