#include <chorale/launcher/supervisor/silence.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include <chorale/core/base/process_stat.hpp>
#include <chorale/launcher/supervisor/rank_ends.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kStopped = 500ms;  // over the deadline, of a process that is seen to be stopped
constexpr auto kJoining = 1s;     // of a rank in MPI_Init: its peers hang there and have nothing to add
constexpr auto kTraining = 5s;    // of all others
constexpr auto kLongPause = 2s;   // between two looks: it was us who stood still
constexpr auto kMayTake = 2s;     // until ranks that were stopped with us have spoken

/// "NAME=" in the environment with which that process was started, as it stands there with zeros between.
bool has_variable(const std::string& environment, const std::string& setting) {
  return environment.starts_with(setting + '\0') || environment.find('\0' + setting + '\0') != std::string::npos;
}
}  // namespace

namespace {
/// As it stands there, with zeros between; empty: it has gone, or is not ours to look at.
std::string environment_of(std::int64_t process) {
  std::ifstream in("/proc/" + std::to_string(process) + "/environ", std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  return text.str();
}

/// Of this process's job, as its environment says.
bool is_of_rank(std::int64_t process, int rank) {
  const char* job = std::getenv("PMIX_NAMESPACE");
  if (!job) return false;
  const std::string environment = environment_of(process);
  return has_variable(environment, std::string("PMIX_NAMESPACE=") + job) && has_variable(environment, "PMIX_RANK=" + std::to_string(rank));
}

/// That one of its threads has started.
std::vector<std::int64_t> children_of(std::int64_t process) {
  std::vector<std::int64_t> out;
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", ignored)) {
    std::ifstream in(thread.path() / "children");
    for (std::int64_t child = 0; in >> child;) out.push_back(child);
  }
  return out;
}
}  // namespace

bool is_stopped(std::int64_t process) {
  const std::string stat = process_stat(process);
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat.compare(name_end + 2, 1, "T") == 0;
}

std::string stopped_text(bool is_stopped) { return is_stopped ? ", its process is stopped (SIGSTOP)" : ""; }

bool is_stopped(const RankStatus& rank) { return rank.host == host_name() && is_stopped(rank.process); }

std::int64_t process_of_rank(int rank) {
  std::int64_t found = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::int64_t process = std::strtoll(entry.path().filename().c_str(), nullptr, 10);
    if (process <= 0 || !is_of_rank(process, rank)) continue;
    if (found == 0 || is_stopped(process)) found = process;  // a shell around it has the same environment
  }
  return found;
}

std::int64_t sibling_of_rank(int rank) {
  for (const std::int64_t process : children_of(::getppid()))
    if (is_of_rank(process, rank)) return process;
  return 0;
}

std::vector<int> stopped_ranks_of(std::int64_t launcher) {
  std::vector<int> out;
  for (const std::int64_t process : children_of(launcher)) {
    if (!is_stopped(process)) continue;
    const std::string environment = '\0' + environment_of(process), name = std::string("\0PMIX_RANK=", 11);
    const std::size_t at = environment.find(name);
    if (at != std::string::npos) out.push_back(std::atoi(environment.c_str() + at + name.size()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Silence silence_of(const ControlHub& hub, int rank) {
  const RankStatus& status = hub.ranks()[static_cast<std::size_t>(rank)];
  const double seconds = std::chrono::duration<double>(RankStatus::Clock::now() - status.heard).count();
  const std::string where = status.sighting.text();
  return {.rank = rank,
          .cause = fmt::format("{} has said nothing for {:.1f} s{}, last seen in {}", place_of(hub, rank), seconds,
                               stopped_text(is_stopped(status)), where),
          .where = where};
}

Silence absence_of(int rank, std::chrono::duration<double> waited) {
  const std::int64_t process = process_of_rank(rank);
  const std::string who =
      process > 0 ? fmt::format("rank {} (node {}, process {})", rank, host_name(), process) : fmt::format("rank {}", rank);
  const bool stopped = is_stopped(process);
  return {.rank = rank,
          .cause = fmt::format("{} has not come within {:.1f} s{}", who, waited.count(),
                               stopped ? stopped_text(true) : "; see what mpirun or srun says of it, or chorale doctor"),
          .where = "its start"};
}

std::optional<Silence> SilenceWatch::look(const ControlHub& hub) {
  const Clock::time_point now = Clock::now();
  const bool stood_still = looked_ != Clock::time_point{} && now - looked_ > kLongPause;
  if (stood_still) trusts_from_ = now + kMayTake;
  if (looked_ != Clock::time_point{} && !stood_still) awake_ += now - looked_;
  looked_ = now;
  if (now < trusts_from_) return std::nullopt;
  for (std::size_t r = 0; r < hub.ranks().size(); ++r) {
    const RankStatus& rank = hub.ranks()[r];
    const auto silent = now - rank.heard - deadline_;
    if (rank.state != RankStatus::State::here || silent < kStopped) continue;
    const bool is_joining = rank.sighting.activity == Activity::connecting || rank.sighting.beat == 0;
    if (silent >= (is_joining ? kJoining : kTraining) || is_stopped(rank)) return silence_of(hub, static_cast<int>(r));
  }
  return std::nullopt;
}

}  // namespace chorale
