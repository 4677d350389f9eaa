// A non-owning span of elements on some device: what communicators and kernels are handed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include <chorale/core/base/dtype.hpp>

namespace chorale {

enum class DeviceKind : std::uint8_t { cpu, cuda };

struct DeviceId {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const DeviceId&) const = default;
};

struct Buffer {
  void* data = nullptr;
  std::int64_t elements = 0;
  DType dtype = DType::f32;
  DeviceId device = {};

  std::size_t bytes() const { return static_cast<std::size_t>(elements) * size_bytes(dtype); }
  /// The part [first, first + count), in elements. The caller keeps it inside.
  Buffer part(std::int64_t first, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(first) * size_bytes(dtype), count, dtype, device};
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  template <class T>
  std::span<T> span() const {
    return {static_cast<T*>(data), static_cast<std::size_t>(elements)};
  }
};

/// A buffer over host memory. The verb that receives it says whether it writes.
template <class T>
Buffer buffer_of(std::span<T> values) {
  return {const_cast<std::remove_cv_t<T>*>(values.data()), static_cast<std::int64_t>(values.size()), dtype_of<T>, {}};
}

}  // namespace chorale
