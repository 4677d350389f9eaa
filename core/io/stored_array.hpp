// An array as a file of numbers holds it, read whole: what IDX and NPY files give. Untrusted: sizes are checked against the file before
// memory is taken.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/shape.hpp>

namespace chorale {

/// More types than a tensor has: files hold what their makers had.
enum class StoredType : std::uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64 };

std::size_t size_bytes(StoredType type);
/// "u8"
std::string_view name(StoredType type);

struct StoredArray {
  Shape shape = {};
  StoredType type = StoredType::u8;
  std::vector<std::byte> bytes = {};  // row-major, in this machine's byte order; shape.elements() * size_bytes(type) of them
};

/// The same where the file's bytes lie: nothing is copied, and it is valid as long as they are.
struct ArrayView {
  Shape shape = {};
  StoredType type = StoredType::u8;
  bool big_endian = false;
  std::int64_t offset = 0;         // of the first element in the file, in bytes
  std::string_view elements = {};  // row-major; shape.elements() * size_bytes(type) bytes
  std::string path = {};           // what messages call the file
};

StoredArray copy_of(const ArrayView& view);

/// Elements [first, first + to.size()) as T: float, double or int64. Floats are rounded to nearest; of int64 the caller knows that the
/// elements are whole numbers that fit (is_whole).
template <class T>
void read_elements(const ArrayView& view, std::int64_t first, std::span<T> to);

bool is_whole(StoredType type);

/// An IDX or NPY file, told apart by its first bytes, packed by gzip or not. Throws DataError that begins with the path and says what was
/// expected; IoError when the disk fails.
StoredArray read_array(const std::string& path);

}  // namespace chorale
