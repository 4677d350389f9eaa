// Rows of a data set as tensors of a model: gathered in host memory, turned into the model's float type, on its device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/autograd/variable.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/device/device.hpp>

namespace chorale {

/// One thread. Keeps memory for the rows that it converts.
class Loader {
 public:
  /// dtype: of the model, f32 or f64.
  Loader(const Dataset& data, Device& device, DType dtype) : data_(data), device_(device), dtype_(dtype) {}
  /// Tensors [rows, ...] by the names of fields. fields: which of those that there are; empty: all. draw: of a training step; null: rows as
  /// they are, which is what evaluation sees.
  Values load(std::span<const std::int64_t> rows, std::span<const std::string> fields = {}, const Draw* draw = nullptr);

 private:
  Tensor load_field(int field, std::span<const std::int64_t> rows, const Draw* draw);
  void gather(int field, std::span<const std::int64_t> rows, const Draw* draw, void* out) const;
  const Dataset& data_;
  Device& device_;
  DType dtype_;
  std::vector<std::byte> stored_, turned_;  // as the data set has them; as the model wants them, for a device with memory of its own
};

}  // namespace chorale
