#include <chorale/core/device/cpu/pool.hpp>

#include <sys/mman.h>

#include <bit>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>

namespace chorale {

namespace {

constexpr std::size_t kSmallest = 64, kHuge = std::size_t{2} << 20;

struct SizeClass {
  std::size_t index, bytes;
};

/// Classes at 4/4, 5/4, 6/4 and 7/4 of each power of two: at most a quarter is lost.
SizeClass class_of(std::size_t bytes) {
  if (bytes <= kSmallest) return {0, kSmallest};
  const std::size_t units = (bytes + kSmallest - 1) / kSmallest;
  const std::size_t power = static_cast<std::size_t>(std::bit_width(units)) - 1;
  const std::size_t base = std::size_t{1} << power, quarter = base < 4 ? 1 : base / 4;
  const std::size_t steps = (units - base + quarter - 1) / quarter;
  return {power * 4 + steps, (base + steps * quarter) * kSmallest};
}

}  // namespace

CpuPool::~CpuPool() {
  for (auto& list : free_)
    for (void* memory : list) std::free(memory);
}

void* CpuPool::allocate(std::size_t bytes) {
  const SizeClass c = class_of(bytes);
  counts_.bytes_live += c.bytes;
  if (counts_.bytes_live > counts_.bytes_peak) counts_.bytes_peak = counts_.bytes_live;
  auto& list = free_[c.index];
  if (!list.empty()) {
    void* memory = list.back();
    list.pop_back();
    return memory;
  }
  void* memory = std::aligned_alloc(c.bytes >= kHuge ? kHuge : 64, c.bytes >= kHuge ? (c.bytes + kHuge - 1) / kHuge * kHuge : c.bytes);
  if (!memory)
    throw IoError("[memory] no " + std::to_string(c.bytes) + " bytes to be had; " + address_space_text() +
                  "; use a smaller batch or model");
  if (c.bytes >= kHuge) madvise(memory, c.bytes, MADV_HUGEPAGE);  // transparent huge pages are "madvise" on common systems
  ++counts_.system_allocations;
  counts_.bytes_held += c.bytes;
  list.reserve(list.size() + 4);
  return memory;
}

void CpuPool::release(void* memory, std::size_t bytes) noexcept {
  const SizeClass c = class_of(bytes);
  counts_.bytes_live -= c.bytes;
  free_[c.index].push_back(memory);
}

}  // namespace chorale
