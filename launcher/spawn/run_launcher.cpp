// Starts the ranks by mpirun or srun: this program again, with the same words. Launchers lose exit codes, so the ranks leave theirs in a
// private folder.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/child.hpp>
#include <chorale/launcher/spawn/private_folder.hpp>
#include <chorale/launcher/spawn/run_body.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> launcher_words(const RankPlan& plan, const std::string& folder) {
  const std::string n = std::to_string(plan.ranks);
  if (plan.how == RankPlan::How::srun) return {"srun", "-n", n, "--mpi=pmix", "-K1"};
  std::vector<std::string> out = {"mpirun", "-q", "-np", n, "--mca", "orte_tmpdir_base", folder};
  const std::vector<std::string> placing =
      plan.crowded ? std::vector<std::string>{"--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"}
                   : std::vector<std::string>{"--map-by", "core", "--bind-to", "core"};
  out.insert(out.end(), placing.begin(), placing.end());
  return out;
}

int verdict_in(const std::string& folder, int otherwise) {
  int code = otherwise;
  std::ifstream(folder + "/verdict") >> code;
  return code;
}

}  // namespace

int run_launcher(const RankPlan& plan, std::span<const std::string> words) {
  const PrivateFolder folder;
  if (::geteuid() == 0) {
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  ::setenv("CHORALE_RUN_FOLDER", folder.path().c_str(), 1);
  // What ranks put into temporary folders goes with this one, however they end. Other nodes do not have it.
  if (plan.how == RankPlan::How::mpirun && !std::getenv("SLURM_JOB_ID")) ::setenv("TMPDIR", folder.path().c_str(), 1);
  ::setenv("CHORALE_TERMINAL", std::to_string(terminal_columns()).c_str(), 1);
  std::vector<std::string> all = launcher_words(plan, folder.path());
  all.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  all.insert(all.end(), words.begin(), words.end());
  const pid_t child = start_child(all);  // a group of its own: mpirun would kill the ranks before they can checkpoint
  int status = 0;
  Stop told = Stop::none;
  Clock::time_point told_at;
  while (!ended_within(child, std::chrono::milliseconds(50), status)) {
    const bool verdict = std::filesystem::exists(folder.path() + "/verdict");
    if (const Stop wanted = requested_stop(); wanted > told) {
      if (wanted == Stop::interrupt) mean_interrupt(folder.path().c_str());
      ::kill(child, SIGUSR1);  // mpirun and srun pass it on
      told = wanted, told_at = Clock::now();
    }
    if (interrupts() > 1) break;
    const bool hurries = told == Stop::interrupt;  // a requeue takes as long as its checkpoint
    // Never wait for a launcher without a limit: it can hang when all ranks are gone.
    if (hurries && Clock::now() - told_at > std::chrono::milliseconds(1500)) ::kill(-child, SIGTERM);
    if (hurries && Clock::now() - told_at > std::chrono::milliseconds(1900)) break;
    if (verdict && !hurries && !ended_within(child, std::chrono::seconds(10), status))
      break;
    else if (verdict && !hurries)
      return verdict_in(folder.path(), 0);
  }
  if (told == Stop::interrupt || std::filesystem::exists(folder.path() + "/verdict")) {
    ::kill(-child, SIGKILL);
    ::waitpid(child, &status, WNOHANG);
    return verdict_in(folder.path(), static_cast<int>(told == Stop::interrupt ? ExitCode::interrupted : ExitCode::comm));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    return WEXITSTATUS(status) == 127 ? static_cast<int>(ExitCode::usage) : WEXITSTATUS(status);
  return WIFEXITED(status) ? 0 : static_cast<int>(ExitCode::comm);
}

}  // namespace chorale
