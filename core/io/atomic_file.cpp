#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

/// A new file beside `path`. A name left by a dead process of the same number is stepped over.
File create_beside(const std::filesystem::path& path) {
  for (int n = 0;; ++n) {
    std::filesystem::path name = path;
    name += ".tmp." + std::to_string(::getpid()) + "." + std::to_string(n);
    try {
      return File::create(name);
    } catch (const IoError&) {
      if (n == 1000 || !std::filesystem::exists(name)) throw;
    }
  }
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  const File file = File::open_read(path);
  std::string text(file.size(), '\0');
  text.resize(file.read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? std::filesystem::path(".") : folder;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_io_error("open folder", path);
  // Some network file systems refuse to sync a folder (EINVAL): they have no such promise to give.
  const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (failed) throw_io_error("sync folder", path);
}

void rename_and_sync(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_io_error("rename to", to);
  sync_folder(to.parent_path());
}

namespace {
/// A pipe or a device takes text, but must not be replaced by a file: /dev/null would be gone for the whole machine.
void write_through(const std::filesystem::path& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) throw_io_error("open", path);
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      ::close(descriptor);
      errno = error;
      throw_io_error("write", path);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::close(descriptor) != 0) throw_io_error("close", path);
}
}  // namespace

void write_file_atomically(const std::filesystem::path& given, std::string_view text) {
  std::error_code error;
  std::filesystem::path path = given;
  if (std::filesystem::is_directory(path, error)) {
    errno = EISDIR;
    throw_io_error("write", path);
  }
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) return write_through(path, text);
  // The file that a link names is replaced, not the link.
  if (const auto target = std::filesystem::canonical(path, error); !error) path = target;
  File file = create_beside(path);
  try {
    file.write_at(0, std::as_bytes(std::span(text)));
    file.sync();
    file.close();
    if (::rename(file.path().c_str(), path.c_str()) != 0) throw_io_error("rename to", path);
  } catch (...) {
    ::unlink(file.path().c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

}  // namespace chorale
