#include <chorale/core/base/affinity.hpp>

#include <sched.h>

#include <fstream>

namespace chorale {

std::set<std::string> own_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return {"?.0"};
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    std::string package = "?", core = std::to_string(cpu);
    std::ifstream(folder + "physical_package_id") >> package;
    std::ifstream(folder + "core_id") >> core;
    cores.insert(package + "." + core);
  }
  return cores;
}

}  // namespace chorale
