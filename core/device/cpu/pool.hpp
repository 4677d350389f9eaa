// A memory pool of one rank: freed blocks wait in lists by size class, so that a steady training step asks the system for nothing. One
// thread.
#pragma once
#include <array>
#include <vector>

#include <chorale/core/device/device.hpp>

namespace chorale {

class CpuPool {
 public:
  CpuPool() = default;
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;
  ~CpuPool();
  void* allocate(std::size_t bytes);
  void release(void* memory, std::size_t bytes) noexcept;
  const MemoryCounts& counts() const { return counts_; }

 private:
  std::array<std::vector<void*>, 160> free_;  // by size class: four classes a power of two
  std::size_t huge_blocks_ = 0;
  MemoryCounts counts_;
};

}  // namespace chorale
