// Memory that operations come from and go back to, so that a collective in steady state makes no call to malloc: its frames,
// lists and transfers take blocks that earlier ones gave back. Blocks may outlive the pool's owner. One thread at a time.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace chorale {

class BlockPool {
 public:
  struct Retire {
    void operator()(BlockPool* pool) const noexcept { pool->retire(); }
  };
  using Owner = std::unique_ptr<BlockPool, Retire>;
  static Owner make() { return Owner(new BlockPool); }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// Aligned to 16 bytes.
  void* take(std::size_t bytes);
  /// To the pool that it was taken from.
  static void give_back(void* memory) noexcept;

 private:
  /// In front of every block. Blocks are powers of two, so that one of them fits the next operation too.
  struct alignas(16) Header {
    BlockPool* pool;
    union {
      std::size_t shelf;  // while it is out
      Header* next;       // while it is here
    };
  };
  static constexpr std::size_t kShelves = 48;

  BlockPool() = default;
  ~BlockPool();
  void retire() noexcept;

  std::array<Header*, kShelves> free_{};
  std::size_t out_ = 0;
  bool retired_ = false;
};

template <class T>
struct PoolAllocator {
  using value_type = T;
  explicit PoolAllocator(BlockPool& from) : pool(&from) {}
  template <class Other>
  PoolAllocator(const PoolAllocator<Other>& other) : pool(other.pool) {}  // NOLINT: as containers want it
  T* allocate(std::size_t count) { return static_cast<T*>(pool->take(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { BlockPool::give_back(memory); }
  template <class Other>
  bool operator==(const PoolAllocator<Other>& other) const {
    return pool == other.pool;
  }
  BlockPool* pool;
};

template <class T>
using PoolVector = std::vector<T, PoolAllocator<T>>;

/// Base of classes whose objects come from a pool: `new (pool) T(...)`.
struct Pooled {
  static void* operator new(std::size_t bytes, BlockPool& pool) { return pool.take(bytes); }
  static void operator delete(void* memory) { BlockPool::give_back(memory); }
  static void operator delete(void* memory, BlockPool&) { BlockPool::give_back(memory); }
};

}  // namespace chorale
