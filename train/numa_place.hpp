// Where a rank runs on a machine with several NUMA domains, read from Linux's own files: no library of its own is needed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace chorale {

/// A value that ranks of a node send each other.
struct NumaPlace {
  std::int64_t domain = 0;
  std::int64_t bound = 1;        // 0: the rank may move to another domain
  std::int64_t cache_bytes = 0;  // of the last level, where it runs; 0: unknown
};

/// Of the calling thread. On a machine that says nothing about domains there is one.
NumaPlace own_numa_place();

/// Of a thread that may run on the processors `allowed` and runs on `current`, by the files under `system` (/sys/devices/system).
NumaPlace numa_place(const std::vector<int>& allowed, int current, const std::filesystem::path& system);

}  // namespace chorale
