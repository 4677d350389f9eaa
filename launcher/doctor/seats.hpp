// Where each rank may run, as the kernel says it and not as the launcher was asked.
#pragma once
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct SeatFacts {
  int rank = 0;
  std::string host = {};
  std::string cpus = {};             // of its affinity mask, "0-3,8"
  std::set<std::string> cores = {};  // physical ones of the mask, "package.core"
  int node_cores = 1;                // physical ones that processes of this job may use there, bound or not
  bool is_bound = false;             // to less than that
  double quota = 0;                  // processors' worth of time that the cgroup allows; 0: no limit
  int threads = 1;                   // that compute in it
  bool is_thread = false;            // ranks are threads of one process
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SeatFacts, rank, host, cpus, cores, node_cores, is_bound, quota, threads, is_thread)

/// binding, threads, ranks_above_cores.
std::vector<Finding> judge_seats(const std::vector<SeatFacts>& seats);

/// "0-3,8"
std::string ranges_text(const std::vector<int>& sorted);

}  // namespace chorale
