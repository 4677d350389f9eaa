// A tensor as files know it: a name, a type, extents and bytes that lie somewhere else.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/shape.hpp>

namespace chorale {

struct NamedTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  const void* data = nullptr;  // row-major, little-endian, in host memory; lives as long as whoever made it says

  std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_bytes(dtype); }
  std::span<const std::byte> content() const { return {static_cast<const std::byte*>(data), bytes()}; }
};

/// xxh3-128 as 32 hex digits over the tensors in order of their names (byte-wise), each as, one after the other without separators:
/// its name; the lower-case name of its type ("f32"); its rank as int64; its extents as int64 each; its bytes. Integers and elements are
/// little-endian. This is `parameters_hash` of summary.json. Throws UsageError when two have one name.
std::string tensors_hash(std::vector<NamedTensor> tensors);

/// Sorts by name. Throws UsageError when two have one name.
void sort_by_name(std::vector<NamedTensor>& tensors);

}  // namespace chorale
