// The program: the only place that exits.
#include <csignal>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/launcher/command.hpp>

namespace {

int run(const std::vector<std::string>& words) {
  using namespace chorale;
  if (words.empty()) throw UsageError("a command is missing; see chorale help");
  if (words[0] == "--help" || words[0] == "-h") return run_help({});
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == words[0]) {
      for (const std::string& word : words)
        if (word == "--help" || word == "-h") return run_help(std::span(words).first(1));
      return command.run(std::span(words).subspan(1));
    }
    names.push_back(command.name);
  }
  const std::string near = nearest_name(words[0], names);
  throw UsageError("command '" + words[0] + "' is unknown" + (near.empty() ? "; see chorale help" : "; did you mean '" + near + "'?"));
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe makes writes fail, not the run
  try {
    return run({argv + 1, argv + argc});
  } catch (const chorale::Error& error) {
    std::fprintf(stderr, "chorale: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chorale: %s\n", error.what());
    return static_cast<int>(chorale::ExitCode::internal);
  }
}
