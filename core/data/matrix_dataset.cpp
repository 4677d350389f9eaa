#include <chorale/core/data/matrix_dataset.hpp>

#include <cstring>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

template <class T>
void gather_values(const std::byte* source, std::span<const std::int64_t> table, std::span<const std::int64_t> rows, void* out) {
  const T* from = reinterpret_cast<const T*>(source);
  T* to = static_cast<T*>(out);
  for (const std::int64_t row : rows) *to++ = from[table[static_cast<std::size_t>(row)]];
}

}  // namespace

MatrixDataset::MatrixDataset(FeatureMatrix matrix, std::vector<std::int64_t> rows)
    : MatrixDataset(std::move(matrix), {}, std::make_shared<std::vector<std::int64_t>>(std::move(rows))) {
  rows_ = *static_cast<std::vector<std::int64_t>*>(rows_owner_.get());
  for (const std::int64_t row : rows_) {
    if (row < 0 || row >= matrix_.rows) {
      throw InternalError("row " + std::to_string(row) + " of a part is outside the matrix of " + std::to_string(matrix_.rows) + " rows");
    }
  }
}

MatrixDataset::MatrixDataset(FeatureMatrix matrix, std::span<const std::int64_t> rows, std::shared_ptr<void> owner)
    : matrix_(std::move(matrix)), rows_(rows), rows_owner_(std::move(owner)) {
  const auto add = [&](const std::string& field, Shape shape, const void* memory, std::int64_t in_file) {
    if (matrix_.file ? in_file < 0 : memory == nullptr) return;
    fields_.push_back({field, matrix_.dtype, shape});
    places_.push_back({static_cast<const std::byte*>(memory), in_file});
  };
  add("x", {matrix_.features}, matrix_.x, 0);
  const std::int64_t target_bytes = matrix_.rows * static_cast<std::int64_t>(size_bytes(matrix_.dtype));
  for (std::size_t t = 0; t < matrix_.targets.size(); ++t) {
    const std::int64_t from = static_cast<std::int64_t>(t) * target_bytes;
    add(matrix_.targets[t], {}, matrix_.target ? static_cast<const std::byte*>(matrix_.target) + from : nullptr,
        matrix_.target_at < 0 ? -1 : matrix_.target_at + from);
  }
  add("weight", {}, matrix_.weight, matrix_.weight_at);
}

void MatrixDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  const Place& place = places_[static_cast<std::size_t>(field)];
  const std::byte* source = place.memory;
  const std::size_t element = size_bytes(matrix_.dtype);
  const bool scalar = fields_[static_cast<std::size_t>(field)].row_shape.rank() == 0;
  const std::size_t row_bytes = scalar ? element : static_cast<std::size_t>(matrix_.features) * element;
  if (matrix_.file) {
    matrix_.file->read(place.in_file, row_bytes, rows_, rows, static_cast<std::byte*>(out));
  } else if (scalar) {
    if (matrix_.dtype == DType::f64)
      gather_values<double>(source, rows_, rows, out);
    else
      gather_values<float>(source, rows_, rows, out);
  } else {
    auto* to = static_cast<std::byte*>(out);
    for (const std::int64_t row : rows) {
      std::memcpy(to, source + static_cast<std::size_t>(rows_[static_cast<std::size_t>(row)]) * row_bytes, row_bytes);
      to += row_bytes;
    }
  }
}

}  // namespace chorale
