// A file of rows that is larger than memory should be, read at many places in any order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace chorale {

/// Read-only; any thread. Calls, not a mapping: a fault may map whole large folios around a row of a hundred bytes, so that what is
/// resident cannot be bounded, and a disk that fails to read back would be a signal that kills.
class RowFile {
 public:
  /// The descriptor stays the caller's.
  explicit RowFile(int descriptor);
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;
  ~RowFile();
  /// Rows `table[rows[i]]` of `row_bytes` each, which lie from `begin` on, packed to `out`; neighbours in one call. Throws IoError.
  void read(std::int64_t begin, std::size_t row_bytes, std::span<const std::int64_t> table, std::span<const std::int64_t> rows,
            std::byte* out) const;

 private:
  void read_at(std::int64_t offset, std::span<std::byte> out) const;
  int descriptor_ = -1;
};

}  // namespace chorale
