#include <chorale/core/base/memory_kills.hpp>

#include <fstream>
#include <sstream>
#include <string>

namespace chorale {

MemoryKills::MemoryKills(const std::filesystem::path& root) {
  // "0::/path" in version 2, "4:memory:/path" in version 1.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 2);
    if (controllers.empty() && file_.empty()) file_ = root / path / "memory.events";
    if (("," + controllers + ",").find(",memory,") != std::string::npos) file_ = root / "memory" / path / "memory.oom_control";
  }
  before_ = read();
}

std::int64_t MemoryKills::read() const {
  std::ifstream file(file_);
  std::string word;
  for (std::int64_t value = 0; file >> word >> value;)
    if (word == "oom_kill") return value;
  return 0;
}

}  // namespace chorale
