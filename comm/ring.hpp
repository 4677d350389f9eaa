// A stream of bytes from one rank to another through shared memory: one writer, one reader, no lock.
// Zeroed bytes are a valid, empty ring. Sequentially consistent, because a peer may sleep until it changes (bell.hpp).
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace chorale {

class Ring {
 public:
  static constexpr std::size_t kCapacity = 32 * 1024;

  /// Takes as much as there is room for; returns how many bytes.
  std::size_t write(std::span<const std::byte> bytes) {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    const std::size_t room = kCapacity - static_cast<std::size_t>(head - tail_.load(std::memory_order_seq_cst));
    const std::size_t count = std::min(room, bytes.size());
    const std::size_t at = head % kCapacity, straight = std::min(count, kCapacity - at);
    if (straight > 0) std::memcpy(data_ + at, bytes.data(), straight);
    if (count > straight) std::memcpy(data_, bytes.data() + straight, count - straight);
    head_.store(head + count, std::memory_order_seq_cst);
    return count;
  }

  /// Gives as much as there is, at most bytes.size(); returns how many bytes.
  std::size_t read(std::span<std::byte> bytes) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t filled = static_cast<std::size_t>(head_.load(std::memory_order_seq_cst) - tail);
    const std::size_t count = std::min(filled, bytes.size());
    const std::size_t at = tail % kCapacity, straight = std::min(count, kCapacity - at);
    if (straight > 0) std::memcpy(bytes.data(), data_ + at, straight);
    if (count > straight) std::memcpy(bytes.data() + straight, data_, count - straight);
    tail_.store(tail + count, std::memory_order_seq_cst);
    return count;
  }

 private:
  alignas(64) std::atomic<std::uint64_t> head_{0};  // bytes ever written
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // bytes ever read
  alignas(64) std::byte data_[kCapacity];
};

}  // namespace chorale
