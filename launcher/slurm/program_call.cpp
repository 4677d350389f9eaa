#include <chorale/launcher/slurm/program_call.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include <chorale/launcher/spawn/child.hpp>
#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace {

struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { ::posix_spawn_file_actions_init(&value); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

}  // namespace

std::optional<ProgramAnswer> call_program(const std::vector<std::string>& words, const std::string& folder,
                                          std::chrono::milliseconds limit) {
  const PrivateFolder files;
  const std::string output = files.path() + "/output", messages = files.path() + "/messages";
  FileActions actions;
  ::posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions.value, STDOUT_FILENO, output.c_str(), O_CREAT | O_WRONLY, 0600);
  ::posix_spawn_file_actions_addopen(&actions.value, STDERR_FILENO, messages.c_str(), O_CREAT | O_WRONLY, 0600);
  if (!folder.empty()) ::posix_spawn_file_actions_addchdir_np(&actions.value, folder.c_str());
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawnp(&child, argv[0], &actions.value, nullptr, argv.data(), environ) != 0) return std::nullopt;
  int status = 0;
  if (!ended_within(child, limit, status)) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  return ProgramAnswer{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(output), text_of(messages)};
}

}  // namespace chorale
