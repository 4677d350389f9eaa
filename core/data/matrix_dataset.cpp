#include <chorale/core/data/matrix_dataset.hpp>

#include <cstring>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

MatrixDataset::MatrixDataset(FeatureMatrix matrix, std::vector<std::int64_t> rows) : matrix_(std::move(matrix)), rows_(std::move(rows)) {
  for (const std::int64_t row : rows_) {
    if (row < 0 || row >= matrix_.rows) {
      throw InternalError("row " + std::to_string(row) + " of a part is outside the matrix of " + std::to_string(matrix_.rows) + " rows");
    }
  }
  const auto add = [&](const char* field, Shape shape, const float* source) {
    if (source == nullptr) return;
    fields_.push_back({field, DType::f32, shape});
    sources_.push_back(source);
  };
  add("x", {matrix_.features}, matrix_.x);
  add("target", {}, matrix_.target);
  add("weight", {}, matrix_.weight);
}

void MatrixDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  const float* source = sources_[static_cast<std::size_t>(field)];
  auto* to = static_cast<float*>(out);
  if (fields_[static_cast<std::size_t>(field)].row_shape.rank() == 0) {
    for (const std::int64_t row : rows) *to++ = source[rows_[static_cast<std::size_t>(row)]];
    return;
  }
  const auto width = static_cast<std::size_t>(matrix_.features);
  for (const std::int64_t row : rows) {
    std::memcpy(to, source + static_cast<std::size_t>(rows_[static_cast<std::size_t>(row)]) * width, width * sizeof(float));
    to += width;
  }
}

}  // namespace chorale
