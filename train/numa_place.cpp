#include <chorale/train/numa_place.hpp>

#include <sched.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace chorale {

namespace {

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// "0-3,8" as Linux writes sets of processors.
bool is_in_list(const std::string& list, int processor) {
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    char* end = nullptr;
    const long first = std::strtol(part.c_str(), &end, 10), last = *end == '-' ? std::strtol(end + 1, nullptr, 10) : first;
    if (end != part.c_str() && first <= processor && processor <= last) return true;
  }
  return false;
}

std::int64_t domain_of(int processor, const std::filesystem::path& system) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(system / "node", none)) {
    const std::string name = entry.path().filename().string();
    if (name.size() < 5 || !name.starts_with("node") || !std::isdigit(static_cast<unsigned char>(name[4]))) continue;
    if (is_in_list(first_line(entry.path() / "cpulist"), processor)) return std::atoll(name.c_str() + 4);
  }
  return 0;
}

std::int64_t cache_bytes_of(int processor, const std::filesystem::path& system) {
  std::error_code none;
  std::int64_t bytes = 0, greatest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(system / "cpu" / ("cpu" + std::to_string(processor)) / "cache", none)) {
    const std::int64_t level = std::atoll(first_line(entry.path() / "level").c_str());
    if (level <= greatest) continue;
    const std::string size = first_line(entry.path() / "size");
    greatest = level;
    bytes = std::atoll(size.c_str()) << (size.ends_with('K') ? 10 : size.ends_with('M') ? 20 : 0);
  }
  return bytes;
}

}  // namespace

NumaPlace numa_place(const std::vector<int>& allowed, int current, const std::filesystem::path& system) {
  NumaPlace place{.domain = domain_of(current, system), .bound = 1, .cache_bytes = cache_bytes_of(current, system)};
  for (const int processor : allowed)
    if (domain_of(processor, system) != place.domain) place.bound = 0;
  return place;
}

NumaPlace own_numa_place() {
  std::vector<int> allowed;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0)
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &mask)) allowed.push_back(processor);
  return numa_place(allowed, std::max(0, sched_getcpu()), "/sys/devices/system");
}

}  // namespace chorale
