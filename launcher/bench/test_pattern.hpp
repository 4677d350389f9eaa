// Data whose reduction everybody can compute: small whole numbers that depend on rank and position and repeat with an odd
// period, so that a misplaced block shows. Checks whole buffers at the speed of memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include <chorale/core/base/buffer.hpp>

namespace chorale {

class TestPattern {
 public:
  /// What rank `rank` holds.
  static TestPattern of_rank(int rank, DType dtype);
  /// The sum of what ranks 0 to size - 1 hold.
  static TestPattern of_sum(int size, DType dtype);

  /// Writes the elements that stand at `first` and after.
  void write(Buffer buffer, std::int64_t first) const;
  /// Does `buffer` hold the elements from `first` on?
  bool matches(Buffer buffer, std::int64_t first) const;

 private:
  TestPattern(const std::vector<std::int64_t>& period, DType dtype);
  /// Calls visit(bytes of the buffer, bytes of the pattern, how many) over the whole buffer while it returns true.
  template <class Visit>
  bool walk(Buffer buffer, std::int64_t first, Visit visit) const;
  std::vector<std::byte> twice_;  // two periods, so that any start has a whole one before it
  std::size_t period_bytes_;
};

}  // namespace chorale
