// What a rank has seen of entities since the last tick: sums of vectors and counts by (entity, part). A part is a virtual worker of the
// batches, or a chunk of the sweep: what one rank computes in one place whatever the ranks, so that sums over parts, in their order, do
// not depend on the ranks.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include <chorale/train/collab/row_wire.hpp>

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

  /// Of each entry the mean vector is cut to `clip` in length, and gets noise of deviation noise * clip in each number, drawn by key,
  /// entity and part. clip 0: nothing is done.
  void bound(double clip, double noise, std::uint64_t key);
  /// Words of a packed entry: entity, part, count, then the sum of vectors as it travels.
  static std::int64_t entry_words(std::int64_t width, RowWire wire = RowWire::f32) { return 3 + row_words(wire, width); }
  /// All entries one after the other, in the order in which they came up.
  std::vector<std::int32_t> packed(RowWire wire = RowWire::f32) const;

 private:
  float* sum_of(std::int32_t entity, std::int32_t part);
  std::int64_t width_;
  std::unordered_map<std::uint64_t, std::size_t> place_;  // of (part, entity)
  std::vector<std::int32_t> entities_, parts_, counts_;
  std::vector<float> sums_;
};

}  // namespace chorale
