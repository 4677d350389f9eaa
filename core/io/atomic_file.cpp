#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

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

/// The file that a link names is replaced, not the link.
std::filesystem::path target_of(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    errno = EISDIR;
    throw_io_error("write", path);
  }
  const auto target = std::filesystem::canonical(path, error);
  return error ? path : target;
}

/// A pipe or a device takes text, but must not be replaced by a file: /dev/null would be gone for the whole machine.
bool is_device(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
}

void write_through(const File& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.descriptor(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_io_error("write", file.path());
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

AtomicWriter::AtomicWriter(const std::filesystem::path& path)
    : path_(target_of(path)), is_device_(is_device(path_)), file_(is_device_ ? File::open_write(path_) : create_beside(path_)) {}

AtomicWriter::~AtomicWriter() {
  if (!finished_ && !is_device_) ::unlink(file_.path().c_str());
}

void AtomicWriter::write(std::string_view text) {
  constexpr std::size_t kWaiting = 1 << 20;
  waiting_ += text;
  if (waiting_.size() >= kWaiting) flush();
}

void AtomicWriter::flush() {
  if (is_device_)
    write_through(file_, waiting_);
  else
    file_.write_at(written_, std::as_bytes(std::span(waiting_)));
  written_ += waiting_.size();
  waiting_.clear();
}

void AtomicWriter::finish() {
  flush();
  if (!is_device_) file_.sync();
  file_.close();
  finished_ = true;
  if (is_device_) return;
  if (::rename(file_.path().c_str(), path_.c_str()) != 0) {
    finished_ = false;
    throw_io_error("rename to", path_);
  }
  sync_folder(path_.parent_path());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicWriter writer(path);
  writer.write(text);
  writer.finish();
}

}  // namespace chorale
