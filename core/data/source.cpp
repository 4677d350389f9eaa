#include <chorale/core/data/source.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/gzip.hpp>
#include <chorale/core/data/spill.hpp>

namespace chorale {

namespace {

int open_file(const std::string& path) {
  // Not blocking: a pipe without a writer would be waited for without end; it is refused below.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw DataError(path + ": " + std::strerror(errno) + "; a readable file must have that name");
  return descriptor;
}

}  // namespace

std::vector<std::string> expand_files(const std::vector<std::string>& patterns, const std::string& key) {
  if (patterns.empty()) throw DataError(key + " names no file; give a path or a glob");
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    if (struct stat info; ::stat(pattern.c_str(), &info) == 0) {  // a name with brackets in it is a name first
      paths.push_back(pattern);
      continue;
    }
    if (pattern.find_first_of("*?[") == std::string::npos)
      throw DataError(pattern + ": " + std::strerror(ENOENT) + "; " + key + " must name a readable file (relative to the recipe)");
    glob_t found{};
    ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
    const std::size_t first = paths.size();
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (paths.size() == first) throw DataError(pattern + ": no file matches this glob of " + key);
    std::sort(paths.begin() + static_cast<std::ptrdiff_t>(first), paths.end());  // not glob's order, which follows the locale
  }
  return paths;
}

Source::Source(const std::string& path, const std::string& spill_directory) : path_(path) {
  const int file = open_file(path);
  try {
    map(file);
  } catch (...) {
    ::close(file);
    throw;
  }
  ::close(file);
  if (!is_gzip(bytes())) return;
  packed_ = true;
  const std::string_view packed = bytes();
  const std::int64_t packed_bytes = bytes_on_disk_;
  data_ = nullptr, size_ = 0;
  ::close(std::exchange(descriptor_, -1));
  ::madvise(const_cast<char*>(packed.data()), packed.size(), MADV_SEQUENTIAL);
  int spill = -1;
  try {
    spill = open_spill(spill_directory);
    inflate_gzip(packed, spill, path);
    map(spill);
  } catch (...) {
    if (spill >= 0) ::close(spill);
    ::munmap(const_cast<char*>(packed.data()), packed.size());
    throw;
  }
  ::close(spill);
  ::munmap(const_cast<char*>(packed.data()), packed.size());
  bytes_on_disk_ = packed_bytes;
}

Source::Source(int descriptor, std::string path) : path_(std::move(path)) { map(descriptor); }

Source::Source(Source&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      bytes_on_disk_(other.bytes_on_disk_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      packed_(other.packed_) {}

Source::~Source() {
  if (data_) ::munmap(const_cast<char*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Source::map(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) throw DataError(path_ + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) throw DataError(path_ + ": is not a regular file; a directory needs a glob (DIR/*.csv), a pipe a file first");
  bytes_on_disk_ = info.st_size;
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) throw IoError("[source] mapping " + path_ + ": " + std::strerror(errno));
    data_ = static_cast<const char*>(mapped);
  }
  descriptor_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
}

void Source::release(std::int64_t begin, std::int64_t end) const {
  // A fault maps what lies in the cache around the place, as far as a large folio reaches: so the neighbourhood goes, too.
  constexpr std::int64_t kAround = 2 << 20;
  const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  const std::int64_t first = std::max<std::int64_t>(0, begin - kAround) / page * page;
  const std::int64_t last = std::min(static_cast<std::int64_t>(size_), end + kAround);
  if (first < last) ::madvise(const_cast<char*>(data_) + first, static_cast<std::size_t>(last - first), MADV_DONTNEED);
}

}  // namespace chorale
