#include <chorale/core/io/stored_array.hpp>

#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/source.hpp>
#include <chorale/core/io/idx.hpp>
#include <chorale/core/io/npy.hpp>

namespace chorale {

namespace {

struct TypeRow {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<TypeRow, 11> kTypes = {
    {{"u8", 1}, {"i8", 1}, {"u16", 2}, {"i16", 2}, {"u32", 4}, {"i32", 4}, {"u64", 8}, {"i64", 8}, {"f16", 2}, {"f32", 4}, {"f64", 8}}};

}  // namespace

std::size_t size_bytes(StoredType type) { return kTypes[static_cast<std::size_t>(type)].bytes; }

std::string_view name(StoredType type) { return kTypes[static_cast<std::size_t>(type)].name; }

StoredArray read_array(const std::string& path) {
  const Source source(path);
  if (is_npy(source.bytes())) return parse_npy(source.bytes(), path);
  if (is_idx(source.bytes())) return parse_idx(source.bytes(), path);
  throw DataError(path + ": an IDX or NPY file was expected, it begins with other bytes");
}

}  // namespace chorale
