#include <chorale/launcher/doctor/limits.hpp>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/doctor/cgroup.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kSegment = 4 * kMiB;  // Open MPI's shared memory of a rank, btl_vader_segment_size

std::int64_t soft_limit(__rlimit_resource_t what) {
  rlimit limit{};
  return ::getrlimit(what, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ? -1 : static_cast<std::int64_t>(limit.rlim_cur);
}

std::int64_t size_of(const std::string& folder, bool only_free) {
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) != 0) return -1;
  return static_cast<std::int64_t>((only_free ? space.f_bavail : space.f_blocks) * space.f_frsize);
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  std::error_code error;
  LimitFacts mine = {.rank = comm.rank(), .host = host_name(), .ranks = comm.size(), .ranks_here = comm.node().size()};
  mine.open_files = soft_limit(RLIMIT_NOFILE), mine.address_space = soft_limit(RLIMIT_AS), mine.file_size = soft_limit(RLIMIT_FSIZE);
  mine.locked_memory = soft_limit(RLIMIT_MEMLOCK), mine.processes = soft_limit(RLIMIT_NPROC), mine.core = soft_limit(RLIMIT_CORE);
  mine.cgroup_tasks = most_tasks();
  mine.is_root = ::geteuid() == 0;
  mine.has_fast_network = !std::filesystem::is_empty("/sys/class/infiniband", error) && !error;
  mine.dev_shm = size_of("/dev/shm", false);
  mine.temporary_folder = std::filesystem::temp_directory_path(error).string();
  mine.temporary = size_of(mine.temporary_folder, true);
  const char* backing = std::getenv("OMPI_MCA_btl_vader_backing_directory");
  mine.uses_dev_shm = backing && std::string_view(backing).starts_with("/dev/shm");
  return gather_facts(comm, mine, "doctor limits");
}

std::string limit_text(std::int64_t value, bool is_bytes) {
  return value < 0 ? "unlimited" : is_bytes ? bytes_text(static_cast<double>(value)) : std::to_string(value);
}

/// One limit: below `least` ranks cannot run, below `comfortable` they may come to it.
struct Bound {
  std::int64_t LimitFacts::*field;
  const char* what;
  const char* flag;  // of ulimit
  bool is_bytes;
  std::int64_t least, comfortable;
};

/// The tightest of all ranks; null: none has a limit.
const LimitFacts* tightest(const std::vector<LimitFacts>& ranks, std::int64_t LimitFacts::*field) {
  const LimitFacts* out = nullptr;
  for (const LimitFacts& r : ranks)
    if (r.*field >= 0 && (!out || r.*field < out->*field)) out = &r;
  return out;
}

struct Verdict {
  std::vector<std::string> bad, doubtful, remedies;
};

void look_at(const std::vector<LimitFacts>& ranks, const Bound& bound, Verdict& verdict) {
  const LimitFacts* worst = tightest(ranks, bound.field);
  if (!worst || worst->*bound.field >= bound.comfortable) return;
  const bool is_bad = worst->*bound.field < bound.least;
  (is_bad ? verdict.bad : verdict.doubtful)
      .push_back(fmt::format("{} may have {} {}, {} {} wanted", rank_text(worst->rank, worst->host),
                             limit_text(worst->*bound.field, bound.is_bytes), bound.what,
                             limit_text(is_bad ? bound.least : bound.comfortable, bound.is_bytes), is_bad ? "are" : "or more are"));
  verdict.remedies.push_back(bound.flag);
}

std::string summary(const LimitFacts& r) {
  return fmt::format("open files {}, address space {}, file size {}, locked memory {}, processes {}, core {}, cgroup tasks {}",
                     limit_text(r.open_files, false), limit_text(r.address_space, true), limit_text(r.file_size, true),
                     limit_text(r.locked_memory, true), limit_text(r.processes, false), limit_text(r.core, true),
                     limit_text(r.cgroup_tasks, false));
}

Finding judge_ulimits(const std::vector<LimitFacts>& ranks) {
  const LimitFacts& first = ranks.front();
  std::int64_t crowd = 1;
  bool fast = false, bound = false;
  for (const LimitFacts& r : ranks) {
    crowd = std::max<std::int64_t>(crowd, r.ranks_here);
    fast = fast || r.has_fast_network, bound = bound || !r.is_root;
  }
  // A rank holds a descriptor for each connection, for the memory of each neighbour, and some for its files and libraries.
  const std::int64_t files = 64 + 2 * first.ranks + 4 * crowd;
  Verdict verdict;
  look_at(ranks, {&LimitFacts::open_files, "open files", "ulimit -n", false, files, std::max<std::int64_t>(1024, files)}, verdict);
  // Memory that is only mapped counts too: libraries and what neighbours share.
  look_at(ranks, {&LimitFacts::address_space, "of address space", "ulimit -v unlimited", true, 1024 * kMiB, 16384 * kMiB}, verdict);
  look_at(ranks, {&LimitFacts::file_size, "in a file", "ulimit -f unlimited", true, 16 * kMiB, 65536 * kMiB}, verdict);
  if (fast) look_at(ranks, {&LimitFacts::locked_memory, "of locked memory", "ulimit -l unlimited", true, 64 << 10, 1024 * kMiB}, verdict);
  if (bound)
    look_at(ranks, {&LimitFacts::processes, "processes and threads", "ulimit -u", false, 16 + 8 * crowd, 128 + 16 * crowd}, verdict);
  look_at(ranks,
          {&LimitFacts::cgroup_tasks, "tasks in its cgroup", "the pids limit of the container or unit", false, 16 + 8 * crowd,
           128 + 16 * crowd},
          verdict);
  const std::string remedy =
      fmt::format("raise {} where ranks start, in the job script or /etc/security/limits.conf", fmt::join(verdict.remedies, ", "));
  if (!verdict.bad.empty())
    return failed(
        "limits", ExitCode::internal,
        fmt::format("{}{}{}", fmt::join(verdict.bad, "; "), verdict.doubtful.empty() ? "" : "; ", fmt::join(verdict.doubtful, "; ")),
        remedy);
  if (!verdict.doubtful.empty()) return warning("limits", fmt::format("{}", fmt::join(verdict.doubtful, "; ")), remedy);
  return ok("limits", summary(first) + (first.core == 0 ? " (a crash leaves no core file; its backtrace is in the run directory)" : ""));
}

Finding judge_memory_folders(const std::vector<LimitFacts>& ranks) {
  for (const LimitFacts& r : ranks) {
    const std::int64_t wanted = kSegment * r.ranks_here;
    if (r.uses_dev_shm && r.dev_shm < wanted)
      return warning("shared_memory",
                     fmt::format("/dev/shm of {} has {}, Open MPI's segments, which btl_vader_backing_directory puts there, take {}",
                                 r.host, r.dev_shm < 0 ? "nothing: there is none" : bytes_text(static_cast<double>(r.dev_shm)),
                                 bytes_text(static_cast<double>(wanted))),
                     "leave that setting out, or give the container more: --shm-size");
    if (!r.uses_dev_shm && r.temporary >= 0 && r.temporary < wanted)
      return warning("shared_memory",
                     fmt::format("{} of {} has {} free, Open MPI's segments of {} ranks take up to {}", r.temporary_folder, r.host,
                                 bytes_text(static_cast<double>(r.temporary)), r.ranks_here, bytes_text(static_cast<double>(wanted))),
                     "free space there, or set TMPDIR to a folder of that host with more");
  }
  const LimitFacts& first = ranks.front();
  return ok("shared_memory",
            fmt::format("/dev/shm {} (ranks share memory without it), {} has {} free",
                        first.dev_shm < 0 ? "absent" : bytes_text(static_cast<double>(first.dev_shm)), first.temporary_folder,
                        first.temporary < 0 ? "an unknown size" : bytes_text(static_cast<double>(first.temporary))));
}

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_limits(facts.get<std::vector<LimitFacts>>()); }

}  // namespace

std::vector<Finding> judge_limits(const std::vector<LimitFacts>& ranks) {
  std::vector<Finding> out = {judge_ulimits(ranks), judge_memory_folders(ranks)};
  out[0].values["ranks"] = ranks;
  return out;
}

Probe limits_probe() {
  return {.name = "limits",
          .checks = {"limits", "shared_memory"},
          .share = std::chrono::seconds(3),
          .needs_peers = false,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
