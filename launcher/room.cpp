#include <chorale/launcher/room.hpp>

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kBlasBytes = 136 << 20;  // OpenBLAS, each thread that calls it
constexpr std::int64_t kRankBytes = 64 << 20;   // heap of a rank's thread
constexpr std::int64_t kMpiBytes = 256 << 20;   // Open MPI's plug-ins, threads and queues: 365 MB a rank with the above, measured
constexpr std::int64_t kLauncherFiles = 32, kFilesPerRank = 4;  // mpirun: 31 with two ranks and 36 with four, measured; 32 hang it
constexpr std::int64_t kLauncherThreads = 5, kThreadsPerRank = 6;

void check_files(std::int64_t needed) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto wanted = static_cast<rlim_t>(needed);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted)
    throw UsageError("[start] " + std::to_string(needed) + " file descriptors are needed in one process, " + files_text() +
                     "; raise it, or start fewer ranks");
}

/// All at once, as they will be.
void check_threads(std::int64_t needed) {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  std::list<std::thread> threads;
  std::int64_t refused_at = -1;
  while (static_cast<std::int64_t>(threads.size()) < needed && refused_at < 0) try {
      threads.emplace_back([&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return over; });
      });
    } catch (const std::system_error&) {
      refused_at = static_cast<std::int64_t>(threads.size());
    }
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  if (refused_at >= 0)
    throw UsageError("[start] " + std::to_string(needed) + " threads and processes are needed, the system gives " +
                     std::to_string(refused_at) + "; " + threads_text() + "; raise the limit, or start fewer ranks");
}

void check_address_space(std::int64_t needed) {
  void* memory = ::mmap(nullptr, static_cast<std::size_t>(needed), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) {
    ::munmap(memory, static_cast<std::size_t>(needed));
    return;
  }
  throw UsageError("[start] a process of this run needs " + std::to_string(needed / 1000000) +
                   " MB of address space beside its model and data, " + address_space_text() + "; raise it");
}

}  // namespace

Room room_for(const RankPlan& plan) {
  const std::int64_t n = plan.ranks;
  switch (plan.how) {
    case RankPlan::How::alone:
    case RankPlan::How::threads:
      return {.files = 16 + 2 * n, .threads = 2 * n, .address_bytes = n * (kBlasBytes + kRankBytes)};
    case RankPlan::How::inside:
      return {.files = 24, .threads = kThreadsPerRank, .address_bytes = kBlasBytes + kRankBytes + kMpiBytes};
    case RankPlan::How::mpirun:
    case RankPlan::How::srun:
      break;
  }
  // Ranks on other nodes have limits of their own, and ask for themselves.
  const bool are_here = plan.how == RankPlan::How::mpirun && plan.hosts.empty();
  const std::int64_t here = are_here ? n : 0;
  return {.files = kLauncherFiles + kFilesPerRank * n,
          .threads = kLauncherThreads + kThreadsPerRank * here,
          .address_bytes = kBlasBytes + kRankBytes + (are_here ? kMpiBytes : 0)};
}

void check_room(const RankPlan& plan) {
  const Room room = room_for(plan);
  check_address_space(room.address_bytes);  // first: threads take some
  check_files(room.files);
  check_threads(room.threads);
}

}  // namespace chorale
