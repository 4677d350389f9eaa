// The bytes of one input file, mapped into memory. A gzip file is unpacked once into a temporary file that has no name.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// Paths behind names and globs, in byte order within each glob. Throws DataError for a glob or path without a file.
std::vector<std::string> expand_files(const std::vector<std::string>& patterns, const std::string& key = "data.file");

/// Read-only after it is made, from any thread. The file must not shrink while it is open.
class Source {
 public:
  /// Plain files are mapped as they are. A gzip file has no random access, so whoever opens it unpacks it sequentially, once, into an
  /// unlinked file in `spill_directory` ("" takes TMPDIR, else /tmp), which vanishes with the last descriptor, also after a crash.
  /// Other processes of the node take `descriptor()` over (SCM_RIGHTS, or /proc/PID/fd/N) instead of unpacking again.
  /// Throws DataError for what cannot be read, IoError when the spill cannot be written.
  explicit Source(const std::string& path, const std::string& spill_directory = {});
  /// Maps a descriptor, which is the caller's to close at any time; `path` is what messages call it.
  Source(int descriptor, std::string path);
  Source(Source&& other) noexcept;
  Source& operator=(Source&&) = delete;
  ~Source();

  std::string_view bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  bool was_packed() const { return packed_; }
  std::int64_t bytes_on_disk() const { return bytes_on_disk_; }
  int descriptor() const { return descriptor_; }
  /// Lets the kernel drop the mapped pages of [begin, end) and some around: they are read again from the file when touched.
  void release(std::int64_t begin, std::int64_t end) const;

 private:
  void map(int descriptor);
  std::string path_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t bytes_on_disk_ = 0;
  int descriptor_ = -1;
  bool packed_ = false;
};

}  // namespace chorale
