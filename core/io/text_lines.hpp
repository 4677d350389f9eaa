// The lines of a file that others may have written, or may be writing at the moment.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <chorale/core/io/file.hpp>

namespace chorale {

/// One thread. A file that is not there, cannot be read or is no regular one has no lines: nothing is waited for, and nothing is thrown.
class TextLines {
 public:
  explicit TextLines(const std::filesystem::path& path);
  /// Without its end; the last one may have none. A line of more than 16 MiB is passed over. Returns false behind the last one.
  bool next(std::string& line);

 private:
  bool fill();
  std::optional<File> file_;
  std::uint64_t offset_ = 0;
  std::string block_;
  std::size_t at_ = 0;
};

}  // namespace chorale
