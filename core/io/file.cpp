#include <chorale/core/io/file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free space or choose another run directory";
    case EFBIG:
      return "; raise the limit on file sizes (ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a folder that can be written";
    case EMFILE:
    case ENFILE:
      return "; raise the limit on open files (ulimit -n)";
    default:
      return "";
  }
}

}  // namespace

void throw_io_error(std::string_view doing, const std::filesystem::path& path) {
  const int error = errno;
  throw IoError("[" + std::string(doing) + "] " + path.string() + ": " + std::strerror(error) + remedy(error));
}

File::File(std::filesystem::path path, int flags, const char* what)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), flags | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) throw_io_error(what, path_);
}
File File::open_read(const std::filesystem::path& path) {
  // Without O_NONBLOCK a pipe that others have put there and nobody writes into would be waited for in open() itself.
  File file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, "open");
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) throw_io_error("stat", path);
  if (!S_ISREG(status.st_mode)) throw IoError("[open] " + path.string() + ": is no regular file; remove it, or name another");
  return file;
}
File File::open_write(const std::filesystem::path& path) { return {path, O_WRONLY | O_CREAT, "open for writing"}; }
File File::create(const std::filesystem::path& path) { return {path, O_WRONLY | O_CREAT | O_EXCL, "create"}; }
File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), bypasses_(other.bypasses_) {}
File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_io_error("stat", path_);
  return static_cast<std::uint64_t>(status.st_size);
}

void File::reserve(std::uint64_t bytes) {
  if (bytes == 0) return;
  // posix_fallocate writes zeros where a file system cannot reserve; that would cost more than it tells.
  if (::fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS) throw_io_error("reserve " + std::to_string(bytes) + " bytes", path_);
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) throw_io_error("reserve " + std::to_string(bytes) + " bytes", path_);
}

void File::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  constexpr std::uint64_t kAligned = 4096;
  const bool fits = (reinterpret_cast<std::uintptr_t>(bytes.data()) | offset | bytes.size()) % kAligned == 0;
  if (bypasses_ && !fits) drop_bypass();
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EINVAL && bypasses_) {  // this file system wants more of an alignment
      drop_bypass();
      continue;
    }
    if (written == 0) errno = ENOSPC;
    if (written <= 0) throw_io_error("write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

void File::bypass_cache() {
  const int flags = ::fcntl(descriptor_, F_GETFL);
  bypasses_ = flags >= 0 && ::fcntl(descriptor_, F_SETFL, flags | O_DIRECT) == 0;
}

void File::drop_bypass() {
  bypasses_ = false;
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, flags & ~O_DIRECT) != 0) throw_io_error("write", path_);
}

std::size_t File::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  std::size_t total = 0;
  while (total < bytes.size()) {
    const ssize_t got = ::pread(descriptor_, bytes.data() + total, bytes.size() - total, static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", path_);
    if (got == 0) break;
    total += static_cast<std::size_t>(got);
  }
  return total;
}

void File::sync() {
  if (::fsync(descriptor_) != 0) throw_io_error("sync", path_);
}

void File::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  // Network file systems tell of a failed write as late as here.
  if (descriptor >= 0 && ::close(descriptor) != 0) throw_io_error("close", path_);
}

}  // namespace chorale
