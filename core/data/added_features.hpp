// Features of a row that no column of the file holds.
#pragma once
#include <cstdint>

namespace chorale {

/// Read-only once made; any thread.
class AddedFeatures {
 public:
  virtual ~AddedFeatures() = default;
  virtual std::int64_t width() const = 0;
  /// Of row `row` of the whole table, width() values to `out`.
  virtual void fill(std::int64_t row, float* out) const = 0;
};

}  // namespace chorale
