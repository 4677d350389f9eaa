#include <chorale/core/data/memory_budget.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

// The number in a file of one word; "max" and an absent file are no limit.
std::int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : kUnlimited;
}

std::int64_t left_in_group(const std::string& folder, const char* limit, const char* used) {
  const std::int64_t most = number_in(folder + limit), now = number_in(folder + used);
  return most == kUnlimited || now == kUnlimited ? kUnlimited : std::max<std::int64_t>(0, most - now);
}

// The control groups of this process, from its own up to the root; any of them may be limited (containers, Slurm).
template <class F>
void each_group(F&& look) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty(), v1 = controllers.find("memory") != std::string::npos;
    if (!v1 && !v2) continue;
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      const std::string folder = (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + (path == "/" ? "" : path) + "/";
      look(folder, v2 ? "memory.max" : "memory.limit_in_bytes", v2 ? "memory.current" : "memory.usage_in_bytes");
      if (path.empty() || path.find('/') == std::string::npos) break;
    }
  }
}

std::int64_t left_in_groups() {
  std::int64_t left = kUnlimited;
  each_group(
      [&](const std::string& folder, const char* limit, const char* used) { left = std::min(left, left_in_group(folder, limit, used)); });
  return left;
}

std::int64_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoll(text) : 0;
}

[[noreturn]] void refuse(const std::string& text) {
  throw UsageError("data.memory = " + text + ": a size was expected, such as 500MB, 2GB, 1.5GiB, or auto");
}

double unit_bytes(std::string unit, const std::string& text) {
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.pop_back();
  if (unit.empty()) return 1;
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  if (unit.size() > 1 && !binary) refuse(text);
  const std::size_t power = std::string("kmgt").find(static_cast<char>(unit[0] | 32));
  if (power == std::string::npos) refuse(text);
  double bytes = 1;
  for (std::size_t i = 0; i <= power; ++i) bytes *= binary ? 1024 : 1000;
  return bytes;
}

}  // namespace

std::int64_t available_memory() {
  std::int64_t available = kUnlimited;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kib) == 1) available = static_cast<std::int64_t>(kib) * 1024;
  }
  available = std::min(available, left_in_groups());
  return available == kUnlimited ? std::int64_t{2} << 30 : available;  // no /proc: a modest guess
}

MemoryLimit memory_limit() {
  constexpr std::int64_t kNone = std::int64_t{1} << 60;  // version 1 writes the greatest page instead of "max"
  MemoryLimit out{kUnlimited, ""};
  each_group([&](const std::string& folder, const char* limit, const char*) {
    const std::int64_t bytes = number_in(folder + limit);
    if (bytes < kNone && bytes < out.bytes) out = {bytes, "its memory control group (" + folder + limit + ")"};
  });
  std::int64_t slurm = number_of("SLURM_MEM_PER_NODE");
  if (slurm == 0) slurm = number_of("SLURM_MEM_PER_CPU") * number_of("SLURM_CPUS_ON_NODE");
  if (slurm > 0 && slurm < out.bytes >> 20) out = {slurm << 20, "Slurm (--mem)"};
  return out;
}

std::int64_t memory_budget(const std::string& text) {
  if (text == "auto") return available_memory() / 2;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0)) refuse(text);
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  const double bytes = number * unit_bytes(unit, text);
  if (bytes > 0x1p62) refuse(text);
  return static_cast<std::int64_t>(bytes);
}

std::string bytes_text(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit < 5; ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace chorale
