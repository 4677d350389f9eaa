#include <chorale/launcher/spawn/child.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/private_folder.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

void redirect(int stream, const std::string& path) {
  if (path.empty()) return;
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (file < 0 || ::dup2(file, stream) < 0) ::_exit(127);
  ::close(file);
}

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

}  // namespace

pid_t start_child(const std::vector<std::string>& words, const ChildFiles& files, const ChildEnvironment& environment) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw IoError("fork failed; too many processes?");
  if (child > 0) return child;
  ::setpgid(0, 0);
  // Whatever ends this process, kill -9 or a second Ctrl-C too, ends the child. SIGPIPE stays ignored: output may go to a pipe that closes.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(130);  // it died before the line above
  redirect(STDOUT_FILENO, files.output);
  redirect(STDERR_FILENO, files.messages);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP}) std::signal(signal, SIG_DFL);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execvp(argv[0], argv.data());
  std::perror(argv[0]);
  ::_exit(127);
}

bool ended_within(pid_t child, std::chrono::milliseconds limit, int& status) {
  const Clock::time_point until = Clock::now() + limit;
  do {
    if (::waitpid(child, &status, WNOHANG) == child) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  } while (Clock::now() < until);
  return false;
}

ChildResult run_this_program(const std::vector<std::string>& words, std::chrono::milliseconds limit) {
  const PrivateFolder folder;
  const ChildFiles files = {.output = folder.path() + "/output", .messages = folder.path() + "/messages"};
  std::vector<std::string> all = {std::filesystem::read_symlink("/proc/self/exe").string()};
  all.insert(all.end(), words.begin(), words.end());
  ChildResult result;
  const Clock::time_point until = Clock::now() + limit;
  const pid_t child = start_child(all, files);
  int status = 0;
  while (!ended_within(child, std::chrono::milliseconds(50), status)) {
    result.too_late = Clock::now() >= until;
    if (!stop_requested() && !result.too_late) continue;
    ::kill(child, SIGINT);
    if (!ended_within(child, std::chrono::seconds(5), status)) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
    }
    break;
  }
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.output = text_of(files.output);
  result.messages = text_of(files.messages);
  return result;
}

}  // namespace chorale
