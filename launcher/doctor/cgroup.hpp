// What this process's control groups allow it, version 1 or 2.
#pragma once
#include <cstdint>
#include <filesystem>

namespace chorale {

/// Processors' worth of time; 0: no limit.
double cpu_quota(const std::filesystem::path& root = "/sys/fs/cgroup");
/// Processes and threads; -1: no limit.
std::int64_t most_tasks(const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace chorale
