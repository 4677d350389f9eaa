#include <chorale/core/base/shape.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>

namespace chorale {

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  if (dims.size() > kMaxRank) throw ShapeError("a shape has at most 6 dimensions, got " + std::to_string(dims.size()));
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0) throw ShapeError("dimension " + std::to_string(i) + " is negative: " + std::to_string(dims[i]));
    dims_[i] = dims[i];
  }
}

bool Shape::operator==(const Shape& other) const { return std::ranges::equal(dims(), other.dims()); }

std::string Shape::text() const {
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string((*this)[i]);
  return out + "]";
}

}  // namespace chorale
