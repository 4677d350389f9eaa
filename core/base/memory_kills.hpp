// How many processes the kernel has killed in this process's memory cgroup for want of memory. A rank that got SIGKILL and a count that
// has risen belong together.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace chorale {

class MemoryKills {
 public:
  /// Counts from now on. root: where cgroups are mounted.
  explicit MemoryKills(const std::filesystem::path& root = "/sys/fs/cgroup");
  /// Since then; 0 where nothing counts.
  std::int64_t count() const { return read() - before_; }

 private:
  std::int64_t read() const;
  std::filesystem::path file_;  // memory.events, or memory.oom_control in version 1
  std::int64_t before_ = 0;
};

}  // namespace chorale
