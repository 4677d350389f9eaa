#include <chorale/core/device/cpu/pool.hpp>

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>

namespace chorale {

namespace {

constexpr std::size_t kSmallest = 64, kHuge = std::size_t{2} << 20;
/// Huge pages begin alike in every set of the caches: an update that reads parameters, gradient and moments side by side met stores of the
/// element before under the same address bits, which cost it 10 % (Sapphire Rapids). Large blocks begin at places of their own instead.
constexpr std::size_t kStagger = 5440, kPlaces = 8;

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

/// Where a large block begins that was given out at a place of its own.
void* whole(void* memory) { return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(memory) / kHuge * kHuge); }

}  // namespace

CpuPool::~CpuPool() {
  for (std::size_t i = 0; i < free_.size(); ++i)
    for (void* memory : free_[i]) std::free(i < class_of(kHuge).index ? memory : whole(memory));
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
  const bool is_huge = c.bytes >= kHuge;
  const std::size_t asked = is_huge ? (c.bytes + kStagger * kPlaces + kHuge - 1) / kHuge * kHuge : c.bytes;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(is_huge ? kHuge : 64, asked));
  if (!memory)
    throw IoError("[memory] no " + std::to_string(c.bytes) + " bytes to be had; " + address_space_text() +
                  "; use a smaller batch or model");
  if (is_huge) {
    madvise(memory, asked, MADV_HUGEPAGE);  // transparent huge pages are "madvise" on common systems
    memory += kStagger * (huge_blocks_++ % kPlaces);
  }
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
