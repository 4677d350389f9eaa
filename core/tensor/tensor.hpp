// The value handle: shape, element type, device, shared storage, views. No mathematics.
// Always dense and row-major. Handles of one storage stay on the thread of the rank that owns the device (the count is not atomic).
#pragma once
#include <cstdint>
#include <utility>

#include <chorale/core/base/buffer.hpp>
#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/shape.hpp>
#include <chorale/core/device/device.hpp>

namespace chorale {

class Tensor {
 public:
  Tensor() = default;
  Tensor(const Tensor& other) : Tensor(other, other.shape_, other.data_) {}
  Tensor(Tensor&& other) noexcept { swap(other); }
  Tensor& operator=(Tensor other) noexcept {
    swap(other);
    return *this;
  }
  ~Tensor() { drop(); }

  /// New memory from the device's pool, contents undefined.
  static Tensor empty(Device& device, const Shape& shape, DType dtype);
  static Tensor zeros(Device& device, const Shape& shape, DType dtype);
  /// Memory of somebody else, who keeps it alive: a span of the arena, a user's array.
  static Tensor view(Device& device, const Shape& shape, DType dtype, void* data);
  /// A copy of host values. T is float, double, int32, int64 or uint8.
  template <class T>
  static Tensor from(Device& device, const Shape& shape, const T* values) {
    Tensor t = empty(device, shape, dtype_of<T>);
    device.copy(t.data_, values, t.bytes());
    return t;
  }

  bool defined() const { return data_ != nullptr || device_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return shape_.elements(); }
  /// Extent of the first dimension; 1 for a scalar.
  std::int64_t rows() const { return shape_.rank() == 0 ? 1 : shape_[0]; }
  /// Elements of one row: everything behind the first dimension.
  std::int64_t row_elements() const;
  DType dtype() const { return dtype_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_bytes(dtype_); }
  Device& device() const { return *device_; }
  void* raw() const { return data_; }
  template <class T>
  T* data() const {
    return static_cast<T*>(data_);
  }
  Buffer buffer() const { return {data_, elements(), dtype_, device_ ? device_->id() : DeviceId{}}; }

  /// The same memory under another shape. Throws ShapeError when the number of elements differs.
  Tensor reshape(const Shape& shape) const;
  /// Rows [first, first + count), the same memory.
  Tensor slice(std::int64_t first, std::int64_t count) const;

 private:
  struct Storage {  // stands in front of the elements, in the same pool block
    std::int64_t uses;
    std::size_t bytes;
  };
  static constexpr std::size_t kHeaderBytes = 64;
  Tensor(const Tensor& other, const Shape& shape, void* data)
      : storage_(other.storage_), data_(data), device_(other.device_), shape_(shape), dtype_(other.dtype_) {
    if (storage_) ++storage_->uses;
  }
  void swap(Tensor& other) noexcept {
    std::swap(storage_, other.storage_), std::swap(data_, other.data_), std::swap(device_, other.device_);
    std::swap(shape_, other.shape_), std::swap(dtype_, other.dtype_);
  }
  void drop() noexcept {
    if (storage_ && --storage_->uses == 0) device_->release(storage_, storage_->bytes);
  }

  Storage* storage_ = nullptr;
  void* data_ = nullptr;
  Device* device_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
};

/// Calls f.template operator()<float or double>(): what every mathematical operation does once at its door. Throws ShapeError for other
/// types.
template <class F>
decltype(auto) with_float_type(DType dtype, F&& f) {
  if (dtype == DType::f32) return f.template operator()<float>();
  if (dtype == DType::f64) return f.template operator()<double>();
  throw ShapeError("element type " + std::string(name(dtype)) + " has no mathematics here; use f32 or f64");
}

}  // namespace chorale
