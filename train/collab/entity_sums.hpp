// What a rank has seen of entities since the last tick: sums of vectors and counts by (entity, part). A part is a virtual worker of the
// batches, or a chunk of the sweep: what one rank computes in one place whatever the ranks, so that sums over parts, in their order, do
// not depend on the ranks.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace chorale {

/// One thread.
class EntitySums {
 public:
  explicit EntitySums(std::int64_t width) : width_(width) {}

  /// Adds one vector of `width` values. Vectors of one (entity, part) are added in the order of calls. T is float or double.
  template <class T>
  void add(std::int32_t entity, std::int32_t part, const T* vector) {
    float* sum = sum_of(entity, part);
    for (std::int64_t j = 0; j < width_; ++j) sum[j] += static_cast<float>(vector[j]);
  }
  std::int64_t size() const { return static_cast<std::int64_t>(entities_.size()); }
  void clear();

  /// Words of a packed entry: entity, part, count, then `width` floats.
  static std::int64_t entry_words(std::int64_t width) { return 3 + width; }
  /// All entries one after the other, in the order in which they came up.
  std::vector<std::int32_t> packed() const;

 private:
  float* sum_of(std::int32_t entity, std::int32_t part);
  std::int64_t width_;
  std::unordered_map<std::uint64_t, std::size_t> place_;  // of (part, entity)
  std::vector<std::int32_t> entities_, parts_, counts_;
  std::vector<float> sums_;
};

}  // namespace chorale
