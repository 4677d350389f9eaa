// Files as the rest of core/io needs them: whole reads and writes that either happen or throw an IoError with path and reason.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace chorale {

/// An open file. One thread. The destructor closes without a word: a writer calls sync() and close() first.
class File {
 public:
  static File open_read(const std::filesystem::path& path);  // throws for a pipe, a device or a folder: nothing is waited for
  /// For writing, made if absent, never cut: several ranks write parts of one file.
  static File open_write(const std::filesystem::path& path);
  /// Throws IoError (File exists) when there is one.
  static File create(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  std::uint64_t size() const;
  /// Reserves the disk space of a file that is about to be written, so that a full disk is known before.
  void reserve(std::uint64_t bytes);
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// From now on what is aligned to 4,096 bytes (address, offset, length) goes to the disk without a copy into the page cache, where the
  /// file system can; the rest as before.
  void bypass_cache();
  /// As many bytes as there are, at most bytes.size().
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  void sync();
  void close();
  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  File(std::filesystem::path path, int flags, const char* what);
  std::filesystem::path path_;
  void drop_bypass();
  int descriptor_ = -1;
  bool bypasses_ = false;
};

/// The whole file as text. Throws IoError.
std::string read_text(const std::filesystem::path& path);

/// Makes a folder's entries (new files, renames) last through a power cut.
void sync_folder(const std::filesystem::path& folder);

/// Renames and syncs the parent: afterwards `to` is the new thing or, after a crash, still the old one.
void rename_and_sync(const std::filesystem::path& from, const std::filesystem::path& to);

/// Writes a whole file so that readers and crashes see the old text or the new one, never a part.
/// The new text waits beside it as PATH.tmp.PID.N. A link is followed; a pipe or a device is written to as it is. Throws IoError with path
/// and reason; the old file is then as it was.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// The same in parts, for what is larger than memory should be. One thread. Without finish() the new file vanishes and the old one stays.
class AtomicWriter {
 public:
  explicit AtomicWriter(const std::filesystem::path& path);
  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;
  ~AtomicWriter();
  void write(std::string_view text);
  void finish();

 private:
  void flush();
  std::filesystem::path path_;
  bool is_device_;
  File file_;
  std::string waiting_;
  std::uint64_t written_ = 0;
  bool finished_ = false;
};

/// Throws IoError "[doing] PATH: reason of errno".
[[noreturn]] void throw_io_error(std::string_view doing, const std::filesystem::path& path);

}  // namespace chorale
