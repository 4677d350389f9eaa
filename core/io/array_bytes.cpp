#include <chorale/core/io/array_bytes.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

std::string text_of(const std::vector<std::uint64_t>& extents) {
  std::string out;
  for (const std::uint64_t extent : extents) out += (out.empty() ? "" : ", ") + std::to_string(extent);
  return excerpt("[" + out + "]");
}

Shape shape_of(const std::vector<std::uint64_t>& extents, const std::string& where) {
  if (extents.size() > static_cast<std::size_t>(Shape::kMaxRank))
    throw DataError(where + ": at most 6 dimensions were expected, here are " + std::to_string(extents.size()));
  std::vector<std::int64_t> dims;
  for (const std::uint64_t extent : extents) {
    if (extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      throw DataError(where + ": has the shape " + text_of(extents) + ", too large");
    dims.push_back(static_cast<std::int64_t>(extent));
  }
  return Shape(dims);
}

/// Bytes of all elements. Each product is checked, also where a later extent is 0.
std::uint64_t size_of(const std::vector<std::uint64_t>& extents, StoredType type, const std::string& where) {
  std::uint64_t bytes = size_bytes(type);
  bool is_empty = false;
  for (const std::uint64_t extent : extents) {
    is_empty = is_empty || extent == 0;
    if (extent != 0 && (__builtin_mul_overflow(bytes, extent, &bytes) || bytes > std::uint64_t{1} << 62))
      throw DataError(where + ": has the shape " + text_of(extents) + ", too large");
  }
  return is_empty ? 0 : bytes;
}

template <std::size_t size>
void reverse_each(std::vector<std::byte>& bytes) {
  for (auto at = bytes.begin(); at != bytes.end(); at += size) std::reverse(at, at + size);
}

void reverse_elements(std::vector<std::byte>& bytes, std::size_t size) {
  if (size == 2) reverse_each<2>(bytes);
  if (size == 4) reverse_each<4>(bytes);
  if (size == 8) reverse_each<8>(bytes);
}

}  // namespace

StoredArray array_of(StoredType type, const std::vector<std::uint64_t>& extents, std::string_view bytes, bool big_endian,
                     const std::string& where) {
  StoredArray out{.shape = shape_of(extents, where), .type = type};
  const std::uint64_t size = size_of(extents, type, where);
  if (size != bytes.size())
    throw DataError(where + ": elements of " + std::to_string(size) + " bytes were expected for the shape " + text_of(extents) + " of " +
                    std::string(name(type)) + ", here are " + std::to_string(bytes.size()) +
                    (bytes.size() < size ? "; the file was cut" : "; something follows them"));
  out.bytes.resize(size);
  if (size > 0) std::memcpy(out.bytes.data(), bytes.data(), size);
  if (big_endian != (std::endian::native == std::endian::big)) reverse_elements(out.bytes, size_bytes(type));
  return out;
}

}  // namespace chorale
