#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/memory_kills.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

/// Groups as the kernel shows them for this process, under another root: version 1 with `folder` "memory", version 2 with "".
void write_counts(const fs::path& root, const std::string& controller, const std::string& folder, const char* file, int kills) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (line.substr(first + 1, second - first - 1) != controller) continue;
    const fs::path of_group = root / folder / line.substr(second + 2);
    fs::create_directories(of_group);
    std::ofstream(of_group / file) << "low 7\noom_kill " << kills << "\n";
  }
}

}  // namespace

TEST_CASE("kills for want of memory count from when one begins to look") {
  std::string name = (fs::temp_directory_path() / "kills-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()));
  const fs::path root = name;
  CHECK(MemoryKills(root).count() == 0);  // nothing counts there
  const auto write = [&](int kills) {
    write_counts(root, "memory", "memory", "memory.oom_control", kills);
    write_counts(root, "", "", "memory.events", kills);
  };
  write(3);
  const MemoryKills kills(root);
  CHECK(kills.count() == 0);
  write(5);
  CHECK(kills.count() == (fs::is_empty(root) ? 0 : 2));
  fs::remove_all(root);
}
