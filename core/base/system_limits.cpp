#include <chorale/core/base/system_limits.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace chorale {

namespace {

std::string megabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

/// "max" and an absent file are no limit.
std::int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : -1;
}

}  // namespace

std::string address_space_text() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return "address space is not limited, so the machine or its control group has no more";
  const std::int64_t pages = std::max<std::int64_t>(0, number_in("/proc/self/statm"));
  return "the limit of address space is " + megabytes(limit.rlim_cur) + " (ulimit -v), " +
         megabytes(static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) + " of it are taken";
}

std::int64_t threads_of_group() {
  std::int64_t lowest = -1;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers != "pids") continue;
    const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
    for (std::string path = line.substr(second + 1); path.size() > 1; path.erase(path.rfind('/'))) {
      const std::int64_t here = number_in(root + path + "/pids.max");
      if (here >= 0 && (lowest < 0 || here < lowest)) lowest = here;
    }
  }
  return lowest;
}

std::string threads_text() {
  rlimit limit{};
  std::string out;
  if (::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    out = std::to_string(limit.rlim_cur) + " of this user (ulimit -u)";
  if (const std::int64_t group = threads_of_group(); group >= 0)
    out += (out.empty() ? "" : ", ") + std::to_string(group) + " in its control group (pids.max)";
  return out.empty() ? "no limit of threads is set" : "limits of threads and processes: " + out;
}

std::string files_text() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return "the limit is " + std::to_string(limit.rlim_cur) + " (ulimit -n)";
}

}  // namespace chorale
