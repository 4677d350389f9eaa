#include <chorale/comm/raw_text.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace chorale {

RawText::RawText(const char* path) noexcept : file_(::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640)) {}

RawText::RawText(int file) noexcept : file_(::fcntl(file, F_DUPFD_CLOEXEC, 0)) {}

RawText::~RawText() {
  flush();
  if (file_ >= 0) ::close(file_);
}

void RawText::flush() noexcept {
  for (std::size_t done = 0; file_ >= 0 && done < used_;) {
    const ssize_t written = ::write(file_, buffer_ + done, used_ - done);
    if (written > 0)
      done += static_cast<std::size_t>(written);
    else if (errno != EINTR)
      break;
  }
  used_ = 0;
}

RawText& RawText::put(std::string_view text) noexcept {
  while (!text.empty()) {
    if (used_ == sizeof buffer_) flush();
    const std::size_t n = std::min(text.size(), sizeof buffer_ - used_);
    std::memcpy(buffer_ + used_, text.data(), n);
    used_ += n;
    text.remove_prefix(n);
  }
  return *this;
}

RawText& RawText::put(std::int64_t number) noexcept {
  char digits[24];
  char* at = digits + sizeof digits;
  std::uint64_t left = number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  do *--at = static_cast<char>('0' + left % 10);
  while (left /= 10);
  if (number < 0) *--at = '-';
  return put({at, static_cast<std::size_t>(digits + sizeof digits - at)});
}

RawText& RawText::put_seconds(std::int64_t ns) noexcept {
  std::int64_t us = ns / 1000 % 1000000;
  char text[7] = {'.'};
  for (int i = 6; i > 0; --i, us /= 10) text[i] = static_cast<char>('0' + us % 10);
  return put(ns / 1000000000).put({text, sizeof text});
}

RawText& RawText::put_quoted(std::string_view text) noexcept {
  put("\"");
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    constexpr char kHex[] = "0123456789abcdef";
    if (c == '"' || c == '\\')
      put("\\").put({&c, 1});
    else if (code < 0x20 || code >= 0x7f) {  // a name that was cut may end inside a letter
      const char escaped[] = {'\\', 'u', '0', '0', kHex[code >> 4], kHex[code & 15]};
      put({escaped, sizeof escaped});
    } else
      put({&c, 1});
  }
  return put("\"");
}

}  // namespace chorale
