// A process that this one starts and waits for, always with a limit. No shell: words go to exec as they are.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace chorale {

/// Starts words[0], looked up on PATH, in a process group of its own: Ctrl-C reaches us alone, and we decide what the child gets. Where a
/// file is named, the child's output or messages go there. Throws IoError when no process can be made; the child ends with 127 when the
/// program cannot be started.
struct ChildFiles {
  std::string output, messages;
};
/// Names and values that the child's environment has more or otherwise than ours.
using ChildEnvironment = std::vector<std::pair<std::string, std::string>>;
pid_t start_child(const std::vector<std::string>& words, const ChildFiles& files = {}, const ChildEnvironment& environment = {});

/// Waits at most `limit`; true when the child has ended, with `status` as waitpid gives it.
bool ended_within(pid_t child, std::chrono::milliseconds limit, int& status);

/// SIGKILL to the child and to all that descend from it: a launcher's ssh has a group of its own, and would wait for a node that is cut
/// off.
void kill_family(pid_t child);

struct ChildResult {
  int code = 0;           // its exit code; 128 + N after signal N
  bool too_late = false;  // it was ended at the limit
  std::string output, messages;
};

/// Runs this program again with `words` and collects what it writes. A stop request is passed on as SIGINT, upon which ranks end by
/// themselves within 2 s; whoever is left after 5 s, or at `limit`, is killed. Should this process die, the child gets SIGTERM.
ChildResult run_this_program(const std::vector<std::string>& words, std::chrono::milliseconds limit);

}  // namespace chorale
