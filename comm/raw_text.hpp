// Text into a file from a signal handler: no allocation, no locale, no lock, only open, write and close.
#pragma once
#include <cstdint>
#include <string_view>

namespace chorale {

/// One thread. Async-signal-safe throughout. A disk that is full cuts the text; there is nobody left to tell.
class RawText {
 public:
  /// Replaces the file; links are not followed.
  explicit RawText(const char* path) noexcept;
  /// Onto what is open already, which stays so.
  explicit RawText(int file) noexcept;
  ~RawText();
  RawText(const RawText&) = delete;
  RawText& operator=(const RawText&) = delete;
  bool is_open() const { return file_ >= 0; }
  int file() const { return file_; }
  RawText& put(std::string_view text) noexcept;
  RawText& put(std::int64_t number) noexcept;
  /// Nanoseconds as seconds with six digits behind the point.
  RawText& put_seconds(std::int64_t ns) noexcept;
  /// In quotes, as JSON wants it.
  RawText& put_quoted(std::string_view text) noexcept;
  void flush() noexcept;

 private:
  int file_;
  std::size_t used_ = 0;
  char buffer_[4096];
};

}  // namespace chorale
