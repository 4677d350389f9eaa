#include <chorale/launcher/slurm/program_call.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string_view>

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

std::vector<char*> words_for_exec(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<char*> handed_environment(const ProgramCall& call) {
  std::vector<char*> out;
  for (char** each = environ; *each; ++each) {
    const std::string_view text = *each;
    if (!call.hands_on || call.hands_on(text.substr(0, text.find('=')))) out.push_back(*each);
  }
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::optional<ProgramAnswer> call_program(const std::vector<std::string>& words, const std::string& folder,
                                          std::chrono::milliseconds limit) {
  return call_program({.words = words, .folder = folder, .limit = limit});
}

std::optional<ProgramAnswer> call_program(const ProgramCall& call) {
  const PrivateFolder files;
  const std::string output = files.path() + "/output", messages = files.path() + "/messages";
  FileActions actions;
  ::posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions.value, STDOUT_FILENO, output.c_str(), O_CREAT | O_WRONLY, 0600);
  ::posix_spawn_file_actions_addopen(&actions.value, STDERR_FILENO, messages.c_str(), O_CREAT | O_WRONLY, 0600);
  if (!call.folder.empty()) ::posix_spawn_file_actions_addchdir_np(&actions.value, call.folder.c_str());
  const std::vector<char*> words = words_for_exec(call.words), environment = handed_environment(call);
  pid_t child = 0;
  if (::posix_spawnp(&child, words[0], &actions.value, nullptr, words.data(), environment.data()) != 0) return std::nullopt;
  int status = 0;
  if (!ended_within(child, call.limit, status)) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  return ProgramAnswer{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(output), text_of(messages)};
}

}  // namespace chorale
