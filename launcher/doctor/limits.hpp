// What the system allows each rank: ulimits, tasks, shared and temporary memory.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

/// Soft limits; -1: no limit.
struct LimitFacts {
  int rank = 0;
  std::string host = {};
  int ranks = 1, ranks_here = 1;  // all, and on this host
  std::int64_t open_files = -1, address_space = -1, file_size = -1, locked_memory = -1, processes = -1, core = -1;
  std::int64_t cgroup_tasks = -1;
  bool is_root = false;           // whom the limit on processes does not bind
  bool has_fast_network = false;  // InfiniBand or the like, which locks memory
  std::int64_t dev_shm = -1;      // bytes; -1: there is none
  std::int64_t temporary = -1;    // bytes free in the folder for temporary files; -1: cannot be asked
  std::string temporary_folder = {};
  bool uses_dev_shm = false;  // Open MPI's setting says that its segments lie there
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LimitFacts, rank, host, ranks, ranks_here, open_files, address_space, file_size, locked_memory,
                                   processes, core, cgroup_tasks, is_root, has_fast_network, dev_shm, temporary, temporary_folder,
                                   uses_dev_shm)

/// limits, shared_memory. The rank with the tightest limit is named.
std::vector<Finding> judge_limits(const std::vector<LimitFacts>& ranks);

}  // namespace chorale
