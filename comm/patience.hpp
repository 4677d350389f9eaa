// How a waiting rank spends its time: it spins while an answer is near, then gives the core away, then sleeps. Where ranks
// exceed cores it does not spin, and sleeps soon. Owned by one thread.
#pragma once
#include <chrono>
#include <cstdint>

namespace chorale {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  /// crowded: more ranks than cores, so spinning would only keep the awaited rank from running.
  explicit Patience(bool crowded) : crowded_(crowded) {}
  /// Something moved: begin again. Cheap until the next pause reads the clock.
  void restart() { rounds_ = 0, start_ = now_ = {}; }
  /// Relaxes the core for a moment; false when the time to spin is over. For a tight loop of the caller's own.
  bool spin();
  /// Waits a little. True about every half millisecond at most, when the caller should look at deadline, abort and peers.
  bool pause();
  /// Would pause() sleep? Then a caller with a bell sleeps on that instead, and says slept().
  bool is_sleepy() const { return start_ != Clock::time_point() && now_ - start_ >= yield_time(); }
  void slept() { now_ = Clock::now(); }
  /// Since the last restart, as of the last pause that was true.
  std::int64_t waited_ms() const { return std::chrono::duration_cast<std::chrono::milliseconds>(now_ - start_).count(); }

 private:
  Clock::duration yield_time() const { return crowded_ ? std::chrono::microseconds(50) : std::chrono::microseconds(20000); }

  bool crowded_;
  std::uint64_t rounds_ = 0;
  Clock::time_point start_{}, now_{};
};

}  // namespace chorale
