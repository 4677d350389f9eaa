// One flag and one reason for all ranks of a node or process: the first who fails writes, everyone who waits reads.
// Lies in shared memory; zeroed bytes are a valid, clear board. Any thread, any process.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {

class AbortBoard {
 public:
  bool is_set() const { return state_.load(std::memory_order_seq_cst) == kSet; }
  /// The first call wins; later ones change nothing.
  void set(int rank, const std::string& op, std::uint64_t sequence, const std::string& text) noexcept;
  /// What was set, as every rank throws it.
  CommError error() const;

 private:
  enum State : std::uint32_t { kClear = 0, kWriting = 1, kSet = 2 };
  std::atomic<std::uint32_t> state_{kClear};
  std::int32_t rank_ = -1;
  std::uint64_t sequence_ = 0;
  char op_[48] = {};
  char text_[960] = {};
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace chorale
