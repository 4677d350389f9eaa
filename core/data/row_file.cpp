#include <chorale/core/data/row_file.hpp>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

RowFile::RowFile(int descriptor) : descriptor_(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {
  if (descriptor_ < 0) throw IoError(std::string("[row file] keeping it open: ") + std::strerror(errno));
  ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_RANDOM);  // batches are drawn: reading ahead would fetch what nobody wants
}

RowFile::~RowFile() { ::close(descriptor_); }

void RowFile::read(std::int64_t begin, std::size_t row_bytes, std::span<const std::int64_t> table, std::span<const std::int64_t> rows,
                   std::byte* out) const {
  const auto row_at = [&](std::size_t i) { return table[static_cast<std::size_t>(rows[i])]; };
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && row_at(end) == row_at(end - 1) + 1) ++end;
    const std::size_t bytes = (end - i) * row_bytes;
    read_at(begin + row_at(i) * static_cast<std::int64_t>(row_bytes), {out, bytes});
    out += bytes;
    i = end;
  }
}

void RowFile::read_at(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(descriptor_, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw IoError(std::string("[row file] reading rows back: ") + (got < 0 ? std::strerror(errno) : "the file was cut"));
    offset += got;
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace chorale
