// What stored elements mean: their bytes in this machine's order, and as numbers.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/stored_array.hpp>

namespace chorale {

namespace {

template <std::size_t size>
void reverse_each(std::vector<std::byte>& bytes) {
  for (auto at = bytes.begin(); at != bytes.end(); at += size) std::reverse(at, at + size);
}

void reverse_elements(std::vector<std::byte>& bytes, std::size_t size) {
  if (size == 2) reverse_each<2>(bytes);
  if (size == 4) reverse_each<4>(bytes);
  if (size == 8) reverse_each<8>(bytes);
}

bool is_reversed(const ArrayView& view) { return view.big_endian != (std::endian::native == std::endian::big); }

/// IEEE 754 binary16.
struct Half {
  std::uint16_t bits;
  operator float() const {
    const int exponent = bits >> 10 & 31;
    const float fraction = static_cast<float>(bits & 1023);
    const float size = exponent == 31  ? (fraction == 0 ? HUGE_VALF : std::nanf(""))
                       : exponent == 0 ? std::ldexp(fraction, -24)
                                       : std::ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -size : size;
  }
};

template <class Stored, class T>
void read_as(const ArrayView& view, std::int64_t first, std::span<T> to) {
  const char* from = view.elements.data() + static_cast<std::size_t>(first) * sizeof(Stored);
  const bool reversed = is_reversed(view);
  for (T& out : to) {
    Stored value;
    char* bytes = reinterpret_cast<char*>(&value);
    std::memcpy(bytes, from, sizeof(Stored));
    if (reversed) std::reverse(bytes, bytes + sizeof(Stored));
    out = static_cast<T>(value);
    from += sizeof(Stored);
  }
}

}  // namespace

bool is_whole(StoredType type) { return type != StoredType::f16 && type != StoredType::f32 && type != StoredType::f64; }

StoredArray copy_of(const ArrayView& view) {
  StoredArray out{.shape = view.shape, .type = view.type};
  out.bytes.resize(view.elements.size());
  if (!out.bytes.empty()) std::memcpy(out.bytes.data(), view.elements.data(), out.bytes.size());
  if (is_reversed(view)) reverse_elements(out.bytes, size_bytes(view.type));
  return out;
}

template <class T>
void read_elements(const ArrayView& view, std::int64_t first, std::span<T> to) {
  switch (view.type) {
    case StoredType::u8:
      return read_as<std::uint8_t>(view, first, to);
    case StoredType::i8:
      return read_as<std::int8_t>(view, first, to);
    case StoredType::u16:
      return read_as<std::uint16_t>(view, first, to);
    case StoredType::i16:
      return read_as<std::int16_t>(view, first, to);
    case StoredType::u32:
      return read_as<std::uint32_t>(view, first, to);
    case StoredType::i32:
      return read_as<std::int32_t>(view, first, to);
    case StoredType::u64:
      return read_as<std::uint64_t>(view, first, to);
    case StoredType::i64:
      return read_as<std::int64_t>(view, first, to);
    case StoredType::f16:
      return read_as<Half>(view, first, to);
    case StoredType::f32:
      return read_as<float>(view, first, to);
    case StoredType::f64:
      return read_as<double>(view, first, to);
  }
  throw InternalError("an array of an unknown type");
}

template void read_elements<float>(const ArrayView&, std::int64_t, std::span<float>);
template void read_elements<double>(const ArrayView&, std::int64_t, std::span<double>);
template void read_elements<std::int64_t>(const ArrayView&, std::int64_t, std::span<std::int64_t>);

}  // namespace chorale
