#include <chorale/launcher/doctor/tools.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <chorale/launcher/spawn/child.hpp>

namespace chorale {

namespace {

std::string path_of(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (folder.empty() ? "." : folder) + "/" + program;
    if (::access(file.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(file)) return file;
  }
  return "";
}

std::string text_of(const std::string& path) {
  constexpr std::size_t kMost = 1 << 16;
  std::string out(kMost, '\0');
  std::ifstream file(path);
  file.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<std::size_t>(file.gcount()));
  return out;
}

}  // namespace

ToolQuestions::ToolQuestions(std::vector<std::vector<std::string>> questions, const std::string& folder)
    : start_(std::chrono::steady_clock::now()) {
  for (std::vector<std::string>& words : questions) {
    const std::string stem = folder + "/tool_" + std::to_string(asked_.size());
    Asked asked = {.path = path_of(words[0]), .output = stem + ".out", .messages = stem + ".err"};
    if (!asked.path.empty())
      asked.child =
          start_child(words, {asked.output, asked.messages}, {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
    asked_.push_back(std::move(asked));
  }
}

std::vector<ToolAnswer> ToolQuestions::answers(std::chrono::milliseconds limit) {
  std::vector<ToolAnswer> out;
  for (Asked& asked : asked_) {
    ToolAnswer answer = {.path = asked.path};
    if (asked.child >= 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(start_ + limit - std::chrono::steady_clock::now());
      int status = 0;
      answer.has_answered = ended_within(asked.child, std::max(left, std::chrono::milliseconds(0)), status);
      ::kill(-asked.child, SIGKILL);  // also what it has started
      if (!answer.has_answered) ended_within(asked.child, std::chrono::milliseconds(200), status);
      answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      answer.text = text_of(asked.output) + text_of(asked.messages);
    }
    out.push_back(std::move(answer));
  }
  return out;
}

std::set<std::string> loaded_libraries(const std::string& name) {
  std::set<std::string> out;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t at = line.find('/');
    if (at == std::string::npos) continue;
    const std::filesystem::path file = line.substr(at);
    if (file.filename().string().starts_with(name)) out.insert(file.string());
  }
  return out;
}

}  // namespace chorale
