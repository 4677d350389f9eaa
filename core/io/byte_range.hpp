// A part of a file, and the cut of a file into the parts of its writers.
#pragma once
#include <cstdint>

namespace chorale {

/// Bytes [first, last) of a file.
struct ByteRange {
  std::uint64_t first = 0, last = 0;
  std::uint64_t size() const { return last - first; }
};

/// Share `part` of `parts` in a file of `size` bytes, cut at borders of 1 MiB: two clients of a network file system that write parts of one
/// page lose data. Together the shares are the file; some may be empty.
ByteRange file_share(std::uint64_t size, std::int64_t part, std::int64_t parts);

}  // namespace chorale
