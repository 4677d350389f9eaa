#include <chorale/comm/patience.hpp>

#include <sched.h>

#include <thread>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace chorale {
namespace {

constexpr std::uint64_t kSpins = 4000;  // about 100 us
constexpr std::int64_t kYieldMs = 20;   // then sleep: whoever is later than that does not mind 100 us more

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

bool Patience::pause() {
  const std::uint64_t round = rounds_++;
  if (!crowded_ && round < kSpins) {
    relax();
    return false;
  }
  const std::uint64_t yields = crowded_ ? round : round - kSpins;
  if (yields == 0) start_ = now_ = Clock::now();
  if (yields % 64 == 63 || waited_ms() >= kYieldMs) now_ = Clock::now();
  if (waited_ms() < kYieldMs) {
    sched_yield();
    return yields % 64 == 63;
  }
  std::this_thread::sleep_for(std::chrono::microseconds(100));
  return true;
}

}  // namespace chorale
