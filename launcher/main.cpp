// The program: the only place that exits.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/device/cpu/flush_subnormals.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/said_once.hpp>

namespace {

int run(const std::vector<std::string>& words) {
  using namespace chorale;
  if (words.empty()) throw UsageError("a command is missing; see chorale help");
  if (words[0] == "--help" || words[0] == "-h") return run_help({});
  if (words[0] == "--version") return find_command("version").run(std::span(words).subspan(1));
  const Command& command = find_command(words[0]);
  for (const std::string& word : words)
    if (word == "--help" || word == "-h") return run_help(std::span(words).first(1));
  return command.run(std::span(words).subspan(1));
}

/// Results that did not reach their file must not look like success; a reader that has gone is nobody's loss.
int flushed(int code) {
  if ((std::fflush(stdout) == 0 && !std::ferror(stdout)) || code != 0) return code;
  struct stat out {};
  if (::fstat(STDOUT_FILENO, &out) != 0 || S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode)) return code;
  std::fprintf(stderr, "chorale: standard output cannot be written: is its disk full? Free space or choose another file\n");
  return static_cast<int>(chorale::ExitCode::io);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);                  // a closed pipe makes writes fail, not the run
  std::signal(SIGXFSZ, SIG_IGN);                  // a limit on file sizes too
  const chorale::FlushSubnormals of_all_threads;  // before any of them is there
  try {
    return flushed(run({argv + 1, argv + argc}));
  } catch (const chorale::Error& error) {
    chorale::say_error(error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    chorale::say_error(error.what());
    return static_cast<int>(chorale::ExitCode::internal);
  }
}
