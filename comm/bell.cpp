#include <chorale/comm/bell.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace chorale {
namespace {

/// Not the private kind: ranks are processes.
long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* limit) {
  static_assert(sizeof word == sizeof(std::uint32_t) && std::atomic<std::uint32_t>::is_always_lock_free);
  return syscall(SYS_futex, &word, operation, value, limit, nullptr, 0);
}

}  // namespace

void Bell::Sleeper::sleep(std::int64_t limit_us) const {
  const timespec limit{static_cast<std::time_t>(limit_us / 1000000), static_cast<long>(limit_us % 1000000 * 1000)};
  futex(bell_.rings_, FUTEX_WAIT, heard_, &limit);  // whatever it says, the caller looks again
}

void Bell::ring() noexcept {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  futex(rings_, FUTEX_WAKE, INT_MAX, nullptr);
}

}  // namespace chorale
