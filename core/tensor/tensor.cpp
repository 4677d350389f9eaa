#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

Tensor Tensor::empty(Device& device, const Shape& shape, DType dtype) {
  Tensor t;
  const std::size_t bytes = kHeaderBytes + static_cast<std::size_t>(shape.elements()) * size_bytes(dtype);
  t.storage_ = static_cast<Storage*>(device.allocate(bytes));
  *t.storage_ = {1, bytes};
  t.data_ = reinterpret_cast<std::byte*>(t.storage_) + kHeaderBytes;
  t.device_ = &device;
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::zeros(Device& device, const Shape& shape, DType dtype) {
  Tensor t = empty(device, shape, dtype);
  device.clear(t.data_, t.bytes());
  return t;
}

Tensor Tensor::view(Device& device, const Shape& shape, DType dtype, void* data) {
  Tensor t;
  t.data_ = data;
  t.device_ = &device;
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

std::int64_t Tensor::row_elements() const {
  std::int64_t n = 1;
  for (int i = 1; i < shape_.rank(); ++i) n *= shape_[i];
  return n;
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (shape.elements() != elements()) throw ShapeError("[reshape] " + shape_.text() + " does not fit into " + shape.text());
  return Tensor(*this, shape, data_);
}

Tensor Tensor::slice(std::int64_t first, std::int64_t count) const {
  if (shape_.rank() == 0 || first < 0 || count < 0 || first + count > shape_[0])
    throw ShapeError("[slice] rows " + std::to_string(first) + " to " + std::to_string(first + count) + " are not in " + shape_.text());
  Shape shape = shape_;
  shape[0] = count;
  return Tensor(*this, shape, static_cast<std::byte*>(data_) + static_cast<std::size_t>(first * row_elements()) * size_bytes(dtype_));
}

}  // namespace chorale
