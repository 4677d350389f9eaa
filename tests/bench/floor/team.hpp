// Forked ranks of one machine: shared memory that was mapped before, a core for each, a barrier that spins.
#pragma once
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <new>
#include <stdexcept>
#include <vector>

namespace chorale::bench {

inline float* map_floats(std::size_t count, bool shared) {
  const std::size_t bytes = (count * sizeof(float) + 4095) / 4096 * 4096;
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  if (!shared) ::madvise(at, bytes, MADV_HUGEPAGE);
  return static_cast<float*>(at);
}

class Team {
 public:
  /// Forks: whatever the ranks share must be mapped already. Rank 0 is the caller; the others end with it.
  explicit Team(int ranks) : ranks_(ranks), arrived_(reinterpret_cast<Flag*>(map_floats(16 * ranks, true))) {
    cpu_set_t mask;
    ::sched_getaffinity(0, sizeof mask, &mask);
    std::vector<int> cores;
    for (int c = 0; c < CPU_SETSIZE; ++c)
      if (CPU_ISSET(c, &mask)) cores.push_back(c);
    crowded_ = ranks > static_cast<int>(cores.size());
    for (int r = 1; r < ranks; ++r) {
      if (::fork() != 0) continue;
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      rank_ = r;
      break;
    }
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cores[static_cast<std::size_t>(rank_) % cores.size()], &own);
    ::sched_setaffinity(0, sizeof own, &own);
  }
  int rank() const { return rank_; }
  int size() const { return ranks_; }

  void barrier() {
    arrived_[rank_].count.store(++passed_, std::memory_order_release);
    for (int r = 0; r < ranks_; ++r)
      for (int spins = 0; arrived_[r].count.load(std::memory_order_acquire) < passed_; ++spins) {
        if (crowded_ && spins > 100)
          ::sched_yield();
        else
          __builtin_ia32_pause();
      }
  }

  /// Other ranks leave here; rank 0 waits for them.
  void end() {
    if (rank_ > 0) ::_exit(0);
    while (::wait(nullptr) > 0) continue;
  }

 private:
  struct alignas(64) Flag {
    std::atomic<unsigned> count;
  };
  int ranks_, rank_ = 0;
  bool crowded_ = false;
  unsigned passed_ = 0;
  Flag* arrived_;
};

}  // namespace chorale::bench
