#include <chorale/core/data/gzip.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <unistd.h>
#include <zlib.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

void write_all(int descriptor, const unsigned char* data, std::size_t bytes, const std::string& path) {
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw IoError("[gzip] unpacking " + path + ": " + std::strerror(errno) +
                    "; the unpacked file needs room in the temporary directory: free some, or point TMPDIR elsewhere");
    data += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

// inflateEnd on every way out.
struct Inflater {
  z_stream stream{};
  explicit Inflater(const std::string& path) {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw InternalError("[gzip] zlib does not start for " + path);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b'; }

std::int64_t inflate_gzip(std::string_view packed, int descriptor, const std::string& path) {
  constexpr std::size_t kStep = 1 << 20;
  Inflater inflater(path);
  z_stream& z = inflater.stream;
  std::vector<unsigned char> out(kStep);
  std::size_t taken = 0;
  std::int64_t total = 0;
  bool ended = false;
  for (;;) {
    if (z.avail_in == 0) {
      const std::size_t give = std::min<std::size_t>(packed.size() - taken, std::size_t{1} << 30);
      z.next_in = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(packed.data())) + taken;
      z.avail_in = static_cast<uInt>(give);
      taken += give;
    }
    if (ended) {
      if (z.avail_in == 0) return total;
      // Padding of zeros after the last member is allowed (tapes, some uploaders); another member goes on.
      if (*z.next_in == 0) {
        --z.avail_in, ++z.next_in;
        continue;
      }
      inflateReset(&z);
      ended = false;
    }
    z.next_out = out.data();
    z.avail_out = kStep;
    const int code = inflate(&z, Z_NO_FLUSH);
    const std::size_t made = kStep - z.avail_out;
    write_all(descriptor, out.data(), made, path);
    total += static_cast<std::int64_t>(made);
    if (code == Z_STREAM_END) {
      ended = true;
    } else if (code != Z_OK) {
      const bool cut = code == Z_BUF_ERROR && z.avail_in == 0;
      throw DataError(path + ": the gzip stream is " +
                      (cut ? "cut short" : std::string("damaged (") + (z.msg ? z.msg : "zlib error") + ")") + " after " +
                      std::to_string(total) + " unpacked bytes; fetch or pack the file again (gzip -t tests it)");
    }
  }
}

}  // namespace chorale
