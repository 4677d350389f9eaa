#include <chorale/launcher/spawn/child.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/process_stat.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

void redirect(int stream, const std::string& path) {
  if (path.empty()) return;
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (file < 0 || ::dup2(file, stream) < 0) ::_exit(127);
  ::close(file);
}

/// 0: it has gone.
pid_t parent_of(pid_t process) {
  const std::string line = process_stat(process);
  const std::size_t end = line.rfind(')');  // the name in brackets may hold anything
  if (end == std::string::npos) return 0;
  std::istringstream rest(line.substr(end + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

std::vector<pid_t> family_of(pid_t child) {
  std::vector<std::pair<pid_t, pid_t>> all;  // process, parent
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto process = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    if (process > 0) all.emplace_back(process, parent_of(process));
  }
  std::vector<pid_t> out = {child};
  for (std::size_t i = 0; i < out.size(); ++i)
    for (const auto& [process, parent] : all)
      if (parent == out[i]) out.push_back(process);
  return out;
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

void kill_family(pid_t child) {
  ::kill(child, SIGSTOP);                              // it makes no more of them
  const std::vector<pid_t> family = family_of(child);  // before it dies: then they have another parent
  ::kill(-child, SIGKILL);
  for (const pid_t process : family) ::kill(process, SIGKILL);
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
