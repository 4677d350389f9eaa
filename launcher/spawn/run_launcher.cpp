// Starts the ranks by mpirun or srun: this program again, with the same words. Launchers lose exit codes, so the ranks leave theirs in a
// private folder.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

/// A folder that goes with the run.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "chorale-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      throw IoError("a folder in " + std::filesystem::temp_directory_path().string() + " cannot be made; set TMPDIR");
    path_ = pattern;
  }
  ~PrivateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

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

pid_t start(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw IoError("fork failed; too many processes?");
  if (child > 0) return child;
  ::setpgid(0, 0);  // Ctrl-C reaches us alone: mpirun would kill the ranks before they can checkpoint
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) std::signal(signal, SIG_DFL);
  // Whatever ends this process, kill -9 or a second Ctrl-C too, ends the launcher and with it the ranks. SIGPIPE stays ignored: the output
  // may go to a pipe that closes.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(130);
  ::execvp(argv[0], argv.data());
  std::perror(argv[0]);
  ::_exit(127);
}

/// Waits at most `limit`; true when the child has ended.
bool ended_within(pid_t child, std::chrono::milliseconds limit, int& status) {
  const Clock::time_point until = Clock::now() + limit;
  do {
    if (::waitpid(child, &status, WNOHANG) == child) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  } while (Clock::now() < until);
  return false;
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
  const pid_t child = start(all);
  int status = 0;
  bool told = false;
  Clock::time_point told_at;
  while (!ended_within(child, std::chrono::milliseconds(50), status)) {
    const bool verdict = std::filesystem::exists(folder.path() + "/verdict");
    if (stop_requested() && !told) {
      ::kill(child, SIGUSR1);  // mpirun and srun pass it on
      told = true, told_at = Clock::now();
    }
    if (stop_requests() > 1) break;
    // Never wait for a launcher without a limit: it can hang when all ranks are gone.
    if (told && Clock::now() - told_at > std::chrono::milliseconds(1500)) ::kill(-child, SIGTERM);
    if (told && Clock::now() - told_at > std::chrono::milliseconds(1900)) break;
    if (verdict && !told && !ended_within(child, std::chrono::seconds(10), status))
      break;
    else if (verdict && !told)
      return verdict_in(folder.path(), 0);
  }
  if (told || std::filesystem::exists(folder.path() + "/verdict")) {
    ::kill(-child, SIGKILL);
    ::waitpid(child, &status, WNOHANG);
    return verdict_in(folder.path(), told ? static_cast<int>(ExitCode::interrupted) : static_cast<int>(ExitCode::comm));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    return WEXITSTATUS(status) == 127 ? static_cast<int>(ExitCode::usage) : WEXITSTATUS(status);
  return WIFEXITED(status) ? 0 : static_cast<int>(ExitCode::comm);
}

}  // namespace chorale
