#include <chorale/core/data/mapped_file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <sys/mman.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
// A fault maps what lies in the cache around the place, too.
constexpr std::size_t kFaultAround = 64 << 10;
}  // namespace

MappedFile::MappedFile(int descriptor, std::size_t bytes, std::size_t resident_bytes) : bytes_(bytes), resident_bytes_(resident_bytes) {
  if (bytes == 0) return;
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) throw IoError("[mapped file] mapping " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  ::madvise(mapped, bytes, MADV_RANDOM);  // batches are drawn: reading ahead would fetch what nobody wants
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

void MappedFile::touched(std::size_t places, std::size_t bytes_each) const {
  const std::size_t more = places * std::max(bytes_each, kFaultAround);
  if (mapped_.fetch_add(more, std::memory_order_relaxed) + more < resident_bytes_) return;
  mapped_.store(0, std::memory_order_relaxed);
  ::madvise(const_cast<std::byte*>(data_), bytes_, MADV_DONTNEED);
}

}  // namespace chorale
