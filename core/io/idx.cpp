#include <chorale/core/io/idx.hpp>

#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/array_bytes.hpp>

namespace chorale {

namespace {

constexpr std::size_t kMagic = 4;

std::optional<StoredType> type_of(unsigned char code) {
  switch (code) {
    case 0x08:
      return StoredType::u8;
    case 0x09:
      return StoredType::i8;
    case 0x0B:
      return StoredType::i16;
    case 0x0C:
      return StoredType::i32;
    case 0x0D:
      return StoredType::f32;
    case 0x0E:
      return StoredType::f64;
    default:
      return {};
  }
}

std::uint64_t big_endian_u32(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

bool is_idx(std::string_view bytes) {
  return bytes.size() >= kMagic && bytes[0] == 0 && bytes[1] == 0 && type_of(static_cast<unsigned char>(bytes[2]));
}

ArrayView view_idx(std::string_view bytes, const std::string& path) {
  if (!is_idx(bytes))
    throw DataError(path +
                    ": an IDX file was expected: two zero bytes, then a type (08, 09, 0b, 0c, 0d or 0e), then the number of dimensions; "
                    "at byte 0 it begins otherwise. Is it the file that was meant?");
  const auto dimensions = static_cast<std::size_t>(static_cast<unsigned char>(bytes[3]));
  if (bytes.size() - kMagic < 4 * dimensions)
    throw DataError(path + ": " + std::to_string(dimensions) + " extents were expected behind the first 4 bytes, the file has " +
                    std::to_string(bytes.size()) + " bytes; it was cut, fetch it again");
  std::vector<std::uint64_t> extents;
  for (std::size_t i = 0; i < dimensions; ++i) extents.push_back(big_endian_u32(bytes.substr(kMagic + 4 * i)));
  return view_of(*type_of(static_cast<unsigned char>(bytes[2])), extents, bytes, kMagic + 4 * dimensions, true, path);
}

StoredArray parse_idx(std::string_view bytes, const std::string& path) { return copy_of(view_idx(bytes, path)); }

}  // namespace chorale
