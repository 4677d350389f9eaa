#include <chorale/launcher/doctor/cgroup.hpp>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace chorale {

namespace fs = std::filesystem;

namespace {

/// This process's folder for `controller` and all above it, within which the narrowest limit counts. Inside a container the path may be the
/// host's, which is not there: the mount point remains.
std::vector<fs::path> folders_of(const fs::path& root, const std::string& controller) {
  std::vector<fs::path> out;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool is_unified = controllers == ",,";
    if (!is_unified && controllers.find("," + controller + ",") == std::string::npos) continue;
    const fs::path mount = is_unified ? root : root / controller;
    for (fs::path path = line.substr(second + 1); path.has_relative_path(); path = path.parent_path())
      out.push_back(mount / path.relative_path());
    out.push_back(mount);
  }
  return out;
}

double quota_in(const fs::path& folder) {
  std::string quota;
  double period = 0, number = 0;
  if (std::ifstream file(folder / "cpu.max"); file >> quota >> period && quota != "max" && period > 0)
    return std::atof(quota.c_str()) / period;
  if (std::ifstream file(folder / "cpu.cfs_quota_us"); !(file >> number) || number <= 0) return 0;
  if (std::ifstream file(folder / "cpu.cfs_period_us"); !(file >> period) || period <= 0) return 0;
  return number / period;
}

}  // namespace

double cpu_quota(const fs::path& root) {
  double out = 0;
  for (const fs::path& folder : folders_of(root, "cpu"))
    if (const double quota = quota_in(folder); quota > 0 && (out == 0 || quota < out)) out = quota;
  return out;
}

std::int64_t most_tasks(const fs::path& root) {
  std::int64_t out = -1, number = 0;
  for (const fs::path& folder : folders_of(root, "pids"))
    if (std::ifstream file(folder / "pids.max"); file >> number && (out < 0 || number < out)) out = number;
  return out;
}

}  // namespace chorale
