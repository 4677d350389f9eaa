#include <chorale/comm/backends/thread_regions.hpp>

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>

namespace chorale {

Region ThreadRegions::create(std::size_t bytes) {
  const std::size_t mapped = bytes > 0 ? bytes : 1;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw IoError("[allocate] no " + std::to_string(bytes) + " bytes of memory: " + std::strerror(errno) + "; " + address_space_text());
  std::shared_ptr<std::byte> owner(static_cast<std::byte*>(memory), [mapped](std::byte* at) { munmap(at, mapped); });
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = next_++;
  offered_[number] = owner;
  return {std::move(owner), {0, number}};
}

std::shared_ptr<std::byte> ThreadRegions::open(RegionKey key, std::size_t) {
  const std::lock_guard lock(mutex_);
  return offered_.at(key.number);
}

void ThreadRegions::retire(RegionKey key) noexcept {
  const std::lock_guard lock(mutex_);
  offered_.erase(key.number);
}

}  // namespace chorale
