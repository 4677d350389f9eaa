// How arrays are scaled: statistics of each place of the last extent (a channel of images, a column) over training rows. Sums are exact, so
// neither the order of rows nor the ranks that read them change a bit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/preprocess_bytes.hpp>
#include <chorale/core/data/preprocess_sum.hpp>

namespace chorale {

/// One thread. Fill, merge in any order, then ask.
class ArrayScale {
 public:
  /// places: the last extent.
  explicit ArrayScale(std::int64_t places) : places_(static_cast<std::size_t>(places)) {}
  /// Whole rows. Bytes and other numbers do not mix.
  void add(std::span<const std::uint8_t> values);
  void add(std::span<const double> values);
  void merge(std::span<const std::byte> state);
  Bytes state() const;

  struct Fitted {
    std::vector<double> shift, factor;  // of Field
  };
  /// standardise: to mean 0 and standard deviation 1 (divided by the count); minmax: to 0 to 1, bytes by 255; none: as they are. A place
  /// that is constant keeps its spread. Throws UsageError for another.
  Fitted fit(const std::string& scale, bool is_bytes) const;

 private:
  struct Place {
    std::uint64_t count = 0, sum = 0, squares = 0;  // of bytes
    ExactMoments moments = {};                      // of other numbers
    double min = 0, max = 0;                        // of other numbers, where moments has some
  };
  std::vector<Place> places_;
};

}  // namespace chorale
