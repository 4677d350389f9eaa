// A stream of bytes from one rank to another through shared memory: one writer, one reader, no lock.
// Zeroed bytes are a valid, empty ring. Sequentially consistent, because a peer may sleep until it changes (bell.hpp).
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <chorale/comm/copy.hpp>

namespace chorale {

class Ring {
 public:
  static constexpr std::size_t kCapacity = 128 * 1024;

  /// Takes as much as there is room for, of the first part and then of the second; returns how many bytes. One publication.
  std::size_t write(std::span<const std::byte> first, std::span<const std::byte> second) {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    const std::size_t wanted = first.size() + second.size();
    // The reader's line moves to us only when what we know of it is not enough.
    if (kCapacity - static_cast<std::size_t>(head - tail_seen_) < wanted) tail_seen_ = tail_.load(std::memory_order_seq_cst);
    const std::size_t room = kCapacity - static_cast<std::size_t>(head - tail_seen_);
    const std::size_t of_first = std::min(room, first.size()), of_second = std::min(room - of_first, second.size());
    put(head, first.first(of_first));
    put(head + of_first, second.first(of_second));
    if (of_first + of_second > 0) head_.store(head + of_first + of_second, std::memory_order_seq_cst);
    return of_first + of_second;
  }

  /// Gives as much as there is, to the first part and then to the second; returns how many bytes.
  std::size_t read(std::span<std::byte> first, std::span<std::byte> second) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t filled = static_cast<std::size_t>(head_.load(std::memory_order_seq_cst) - tail);
    const std::size_t of_first = std::min(filled, first.size()), of_second = std::min(filled - of_first, second.size());
    get(tail, first.first(of_first));
    get(tail + of_first, second.first(of_second));
    if (of_first + of_second > 0) tail_.store(tail + of_first + of_second, std::memory_order_seq_cst);
    return of_first + of_second;
  }

 private:
  void put(std::uint64_t head, std::span<const std::byte> bytes) {
    const std::size_t at = head % kCapacity, straight = std::min(bytes.size(), kCapacity - at);
    copy_out(data_ + at, bytes.data(), straight);
    copy_out(data_, bytes.data() + straight, bytes.size() - straight);
  }
  void get(std::uint64_t tail, std::span<std::byte> bytes) const {
    const std::size_t at = tail % kCapacity, straight = std::min(bytes.size(), kCapacity - at);
    copy_bytes(bytes.data(), data_ + at, straight);
    copy_bytes(bytes.data() + straight, data_, bytes.size() - straight);
  }

  alignas(64) std::atomic<std::uint64_t> head_{0};  // bytes ever written
  std::uint64_t tail_seen_ = 0;                     // the writer's: what it last saw of tail_
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // bytes ever read
  alignas(64) std::byte data_[kCapacity];
};

}  // namespace chorale
