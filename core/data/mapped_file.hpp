// A file read through a mapping that is not let grow: what is larger than memory may be read in any order for as long as one likes.
#pragma once
#include <atomic>
#include <cstddef>

namespace chorale {

/// Read-only; any thread. A disk that fails to read back ends the process (SIGBUS), as it does for any mapping.
class MappedFile {
 public:
  /// Maps the first `bytes` of the file; the descriptor stays the caller's. About `resident_bytes` are kept mapped. Throws IoError.
  MappedFile(int descriptor, std::size_t bytes, std::size_t resident_bytes);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  const std::byte* data() const { return data_; }
  /// To be told after reading: so many places of so many bytes each. Lets all pages go when enough has gathered;
  /// they stay in the kernel's cache while there is room, and are read again when touched.
  void touched(std::size_t places, std::size_t bytes_each) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t bytes_, resident_bytes_;
  mutable std::atomic<std::size_t> mapped_{0};
};

}  // namespace chorale
