// How a waiting rank spends its time: it spins while an answer is near, then gives the core away, then sleeps.
// Owned by one thread.
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
  void restart() { rounds_ = 0; }
  /// Waits a little. True about every half millisecond at most, when the caller should look at deadline, abort and peers.
  bool pause();
  /// Since the last restart, as of the last pause that was true.
  std::int64_t waited_ms() const { return std::chrono::duration_cast<std::chrono::milliseconds>(now_ - start_).count(); }

 private:
  bool crowded_;
  std::uint64_t rounds_ = 0;
  Clock::time_point start_{}, now_{};
};

}  // namespace chorale
