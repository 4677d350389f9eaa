#include <chorale/core/data/tensor_dataset.hpp>

#include <cstring>

#include <chorale/core/base/error.hpp>

namespace chorale {

void TensorDataset::add(const std::string& name, const Shape& row_shape, std::vector<float> values) {
  if (static_cast<std::int64_t>(values.size()) != rows_ * row_shape.elements())
    throw ShapeError("[TensorDataset] " + name + " needs " + std::to_string(rows_) + " rows of " + row_shape.text() + ", got " +
                     std::to_string(values.size()) + " numbers");
  fields_.push_back({name, DType::f32, row_shape});
  values_.push_back(std::move(values));
}

void TensorDataset::set_costs(std::vector<double> costs) {
  if (static_cast<std::int64_t>(costs.size()) != rows_)
    throw ShapeError("[TensorDataset] expected a cost for each of " + std::to_string(rows_) + " rows, got " + std::to_string(costs.size()) +
                     "; give one number a row");
  costs_ = std::move(costs);
}

void TensorDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  const std::size_t per_row = static_cast<std::size_t>(fields_[static_cast<std::size_t>(field)].row_shape.elements());
  const float* from = values_[static_cast<std::size_t>(field)].data();
  float* to = static_cast<float*>(out);
  if (per_row == 1) {
    for (const std::int64_t row : rows) *to++ = from[row];
    return;
  }
  for (const std::int64_t row : rows) {
    std::memcpy(to, from + static_cast<std::size_t>(row) * per_row, per_row * sizeof(float));
    to += per_row;
  }
}

}  // namespace chorale
