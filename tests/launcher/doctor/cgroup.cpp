#include <chorale/launcher/doctor/cgroup.hpp>

#include <catch2/catch.hpp>
#include <fstream>

#include <chorale/core/base/private_folder.hpp>
#include <chorale/tests/skip.hpp>

namespace chorale {

namespace fs = std::filesystem;

TEST_CASE("limits of control groups are read in both versions, and none is none", "[launcher]") {
  if (std::ifstream("/proc/self/cgroup").peek() == EOF) CHORALE_SKIP("this kernel has no control groups");
  const PrivateFolder folder;
  const fs::path root = folder.path();
  CHECK(cpu_quota(root) == 0);
  CHECK(most_tasks(root) == -1);
  // The version, and so the folder, is this system's.
  for (const char* controller : {"", "cpu", "pids"}) {
    fs::create_directories(root / controller);
    std::ofstream(root / controller / "cpu.max") << "50000 100000\n";
    std::ofstream(root / controller / "pids.max") << "99\n";
  }
  CHECK(cpu_quota(root) == 0.5);
  CHECK(most_tasks(root) == 99);
  for (const char* controller : {"", "cpu", "pids"}) {
    std::ofstream(root / controller / "cpu.max") << "max 100000\n";
    std::ofstream(root / controller / "pids.max") << "max\n";
    std::ofstream(root / controller / "cpu.cfs_quota_us") << "150000\n";
    std::ofstream(root / controller / "cpu.cfs_period_us") << "100000\n";
  }
  CHECK(cpu_quota(root) == 1.5);
  CHECK(most_tasks(root) == -1);
}

}  // namespace chorale
