// Before ranks are started: do hosts answer, and are there places for as many ranks?
#pragma once
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/supervisor/host_check.hpp>

namespace chorale {

struct PlaceFacts {
  RankPlan plan = {};
  int cores = 1;                 // physical, that this process may use
  std::vector<Host> hosts = {};  // of --hosts
  int slurm_tasks = 0;           // of the allocation; 0: there is none
  std::string messages = {};     // of the launcher
};

Finding judge_slots(const PlaceFacts& places);
Finding judge_hosts(const std::vector<HostAnswer>& answers);

}  // namespace chorale
