#include <chorale/comm/patience.hpp>

#include <immintrin.h>
#include <sched.h>

#include <thread>

namespace chorale {
namespace {

constexpr std::uint64_t kSpins = 4000;  // about 100 us

}  // namespace

bool Patience::spin() {
  if (crowded_ || rounds_ >= kSpins) return false;
  ++rounds_;
  _mm_pause();
  return true;
}

bool Patience::pause() {
  if (spin()) return false;
  const std::uint64_t yields = rounds_++;
  const bool looks = crowded_ ? yields % 8 == 7 : yields % 64 == 63;  // a look at the clock costs a fifth of a yield
  if (start_ == Clock::time_point()) start_ = now_ = Clock::now();
  if (!is_sleepy()) {
    sched_yield();
    if (looks) now_ = Clock::now();
    return looks;
  }
  std::this_thread::sleep_for(std::chrono::microseconds(100));
  now_ = Clock::now();
  return true;
}

}  // namespace chorale
