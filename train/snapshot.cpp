#include <chorale/train/snapshot.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

namespace chorale {

namespace {
constexpr std::uint64_t kPage = 4096, kLargePage = 2 << 20;
std::uint64_t up(std::uint64_t bytes, std::uint64_t to) { return (bytes + to - 1) / to * to; }
}  // namespace

std::uint64_t Snapshot::bytes_for(const SaveFiles& files, int part, int parts) {
  std::uint64_t bytes = 0;
  for (const SaveFile& file : files) bytes += up(file_share(file.image.size(), part, parts).size(), kPage);
  return bytes;
}

bool Snapshot::reserve(std::uint64_t bytes) {
  const std::uint64_t size = up(std::max(bytes, kPage), bytes < kLargePage ? kPage : kLargePage);
  void* memory = std::aligned_alloc(bytes < kLargePage ? kPage : kLargePage, size);
  if (!memory) return false;
  memory_ = {static_cast<std::byte*>(memory), [](std::byte* m) { std::free(m); }};
  ::madvise(memory, size, MADV_HUGEPAGE);  // advice: small pages do too
  std::memset(memory, 0, size);
  bytes_ = size;
  return true;
}

bool Snapshot::take(const SaveFiles& files, int part, int parts) {
  if (bytes_for(files, part, parts) > bytes_) return false;
  places_.clear();
  std::uint64_t at = 0;
  for (const SaveFile& file : files) {
    const ByteRange range = file_share(file.image.size(), part, parts);
    file.image.copy_range(range, memory_.get() + at);
    places_.push_back({at, range.first});
    at += up(range.size(), kPage);
  }
  return true;
}

std::span<const std::byte> Snapshot::piece(std::size_t f, ByteRange range) const {
  return {memory_.get() + places_[f].at + (range.first - places_[f].first), range.size()};
}

}  // namespace chorale
