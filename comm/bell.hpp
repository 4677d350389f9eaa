// Wakes ranks of a node that sleep until something in shared memory changes. Zeroed bytes are a valid bell; any thread, any
// process. Who changes something rings; that costs a load while nobody sleeps.
//
// No wake-up is lost. A sleeper (1) counts itself in, (2) reads how often the bell has rung, (3) looks at what it waits for
// and (4) sleeps only while the bell has rung no more often. Whoever changes something (a) stores it, (b) reads the count of
// sleepers and (c), if there is one, rings: adds one and wakes. All are sequentially consistent. If (3) misses the store of
// (a), then (1) and (2) come before (a), so (b) sees the sleeper and (c) comes after (2): the system call of (4) either finds
// another number and returns, or sleeps already and is woken. tests/comm/rendezvous_model_test.cpp tries every interleaving.
#pragma once
#include <atomic>
#include <cstdint>

namespace chorale {

class Bell {
 public:
  /// While one of these lives, its thread counts as asleep.
  class Sleeper {
   public:
    explicit Sleeper(Bell& bell) : bell_(bell) {
      bell_.sleepers_.fetch_add(1, std::memory_order_seq_cst);
      heard_ = bell_.rings_.load(std::memory_order_seq_cst);
    }
    ~Sleeper() { bell_.sleepers_.fetch_sub(1, std::memory_order_seq_cst); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    /// Look at what is awaited between the constructor and this. Returns at the next ring, after `limit_us`, or for no reason.
    void sleep(std::int64_t limit_us) const;

   private:
    Bell& bell_;
    std::uint32_t heard_ = 0;
  };

  bool has_sleepers() const { return sleepers_.load(std::memory_order_seq_cst) != 0; }
  /// Wakes all sleepers. Call it after the change, when has_sleepers().
  void ring() noexcept;

 private:
  alignas(64) std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<std::uint32_t> rings_{0};  // the word that sleepers sleep on
};

}  // namespace chorale
