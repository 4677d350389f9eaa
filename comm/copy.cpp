#include <chorale/comm/copy.hpp>

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace chorale {

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
}

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kLong = 2 * 1024;  // below this the peer's read from memory costs more than the write gains

void stream_line(std::byte* to, const std::byte* from) {
  const auto* source = reinterpret_cast<const __m128i*>(from);
  auto* target = reinterpret_cast<__m128i*>(to);
  const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1), c = _mm_loadu_si128(source + 2),
                d = _mm_loadu_si128(source + 3);
  _mm_stream_si128(target, a);
  _mm_stream_si128(target + 1, b);
  _mm_stream_si128(target + 2, c);
  _mm_stream_si128(target + 3, d);
}

}  // namespace

void copy_out(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes < kLong || to == from) return copy_bytes(to, from, bytes);
  const std::size_t head = (kLine - reinterpret_cast<std::uintptr_t>(to) % kLine) % kLine;
  copy_bytes(to, from, head);
  const std::size_t lines = (bytes - head) / kLine;
  for (std::size_t line = 0; line < lines; ++line) stream_line(to + head + line * kLine, from + head + line * kLine);
  _mm_sfence();  // such stores are not ordered by a release
  const std::size_t done = head + lines * kLine;
  copy_bytes(to + done, from + done, bytes - done);
}

}  // namespace chorale
