#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string>

#include <chorale/comm/shared_regions.hpp>
#include <chorale/core/base/process_stat.hpp>

namespace chorale {
namespace {

struct ProcessState {
  char state = '?';
  std::uint64_t start_time = 0;
};

/// From /proc/ID/stat, fields 3 and 22; '?' when it cannot be read.
ProcessState read_state(std::int64_t id) {
  const std::string line = process_stat(id);
  const std::size_t end_of_name = line.rfind(')');  // the name may hold anything
  if (end_of_name == std::string::npos) return {};
  std::istringstream fields(line.substr(end_of_name + 1));
  ProcessState out;
  std::string word;
  for (int field = 3; field <= 22 && fields >> word; ++field) {
    if (field == 3) out.state = word[0];
    if (field == 22) out.start_time = std::stoull(word);
  }
  return out;
}

}  // namespace

bool is_stopped(ProcessMark process) {
  if (process.id == 0) return false;
  const ProcessState state = read_state(process.id);
  return (state.state == 'T' || state.state == 't') && state.start_time == process.start_time;
}

ProcessMark own_process() { return {getpid(), read_state(getpid()).start_time}; }

bool is_gone(ProcessMark process) {
  if (process.id == 0) return false;
  if (kill(static_cast<pid_t>(process.id), 0) != 0 && errno == ESRCH) return true;
  // A dead child that nobody has waited for still takes signals.
  const ProcessState state = read_state(process.id);
  if (state.state == 'Z' || state.state == 'X') return true;
  return state.start_time != 0 && process.start_time != 0 && state.start_time != process.start_time;
}

}  // namespace chorale
