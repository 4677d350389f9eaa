#include <chorale/core/io/array_bytes.hpp>

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

}  // namespace

ArrayView view_of(StoredType type, const std::vector<std::uint64_t>& extents, std::string_view file, std::size_t begin, bool big_endian,
                  const std::string& where) {
  const std::string_view bytes = file.substr(begin);
  ArrayView out{.shape = shape_of(extents, where),
                .type = type,
                .big_endian = big_endian,
                .offset = static_cast<std::int64_t>(begin),
                .elements = bytes,
                .path = where};
  const std::uint64_t size = size_of(extents, type, where);
  if (size != bytes.size())
    throw DataError(where + ": elements of " + std::to_string(size) + " bytes were expected for the shape " + text_of(extents) + " of " +
                    std::string(name(type)) + " from byte " + std::to_string(begin) + " on, here are " + std::to_string(bytes.size()) +
                    (bytes.size() < size ? "; the file was cut" : "; something follows them") + ", fetch or write it again");
  return out;
}

}  // namespace chorale
