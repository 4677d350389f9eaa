#include <chorale/launcher/bench/test_pattern.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

constexpr std::int64_t kPeriod = 4099;  // a prime

std::int64_t value(int rank, std::int64_t i) { return (rank * 7 + i * 13) % 11; }

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

/// To nearest, ties to even.
std::uint16_t brain_bits(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

void encode(std::byte* at, std::int64_t value, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return put(at, static_cast<float>(value));
    case DType::f64:
      return put(at, static_cast<double>(value));
    case DType::bf16:
      return put(at, brain_bits(static_cast<float>(value)));
    case DType::i32:
      return put(at, static_cast<std::int32_t>(value));
    case DType::i64:
      return put(at, value);
    case DType::u8:
      return put(at, static_cast<std::uint8_t>(value));
    case DType::f16:
      break;
  }
  throw UsageError("[bench] collectives move no " + std::string(name(dtype)));
}

}  // namespace

TestPattern::TestPattern(const std::vector<std::int64_t>& period, DType dtype) : period_bytes_(period.size() * size_bytes(dtype)) {
  twice_.resize(2 * period_bytes_);
  for (std::size_t i = 0; i < 2 * period.size(); ++i) encode(twice_.data() + i * size_bytes(dtype), period[i % period.size()], dtype);
}

TestPattern TestPattern::of_rank(int rank, DType dtype) {
  std::vector<std::int64_t> period;
  for (std::int64_t i = 0; i < kPeriod; ++i) period.push_back(value(rank, i));
  return {period, dtype};
}

TestPattern TestPattern::of_sum(int size, DType dtype) {
  std::vector<std::int64_t> period(kPeriod);
  for (int rank = 0; rank < size; ++rank)
    for (std::int64_t i = 0; i < kPeriod; ++i) period[static_cast<std::size_t>(i)] += value(rank, i);
  return {period, dtype};
}

template <class Visit>
bool TestPattern::walk(Buffer buffer, std::int64_t first, Visit visit) const {
  const std::byte* start = twice_.data() + static_cast<std::size_t>(first % kPeriod) * size_bytes(buffer.dtype);
  for (std::size_t at = 0; at < buffer.bytes(); at += period_bytes_)
    if (!visit(buffer.as<std::byte>() + at, start, std::min(period_bytes_, buffer.bytes() - at))) return false;
  return true;
}

void TestPattern::write(Buffer buffer, std::int64_t first) const {
  walk(buffer, first, [](std::byte* to, const std::byte* from, std::size_t bytes) { return std::memcpy(to, from, bytes) != nullptr; });
}

bool TestPattern::matches(Buffer buffer, std::int64_t first) const {
  return walk(buffer, first, [](const std::byte* a, const std::byte* b, std::size_t bytes) { return std::memcmp(a, b, bytes) == 0; });
}

}  // namespace chorale
