#include <chorale/core/data/array_dataset.hpp>

#include <cstring>
#include <utility>

namespace chorale {

ArrayDataset::ArrayDataset(std::vector<ArrayColumn> columns, std::vector<std::int64_t> rows, std::shared_ptr<const void> owner,
                           std::shared_ptr<const Augmentation> augmentation)
    : rows_(std::move(rows)), owner_(std::move(owner)), augmentation_(std::move(augmentation)) {
  for (ArrayColumn& column : columns) {
    row_bytes_.push_back(static_cast<std::size_t>(column.field.row_shape.elements()) * size_bytes(column.field.dtype));
    columns_.push_back(column.rows);
    fields_.push_back(std::move(column.field));
  }
}

void ArrayDataset::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  const auto f = static_cast<std::size_t>(field);
  const std::size_t bytes = row_bytes_[f];
  auto* to = static_cast<std::byte*>(out);
  for (const std::int64_t row : rows) {
    std::memcpy(to, columns_[f] + static_cast<std::size_t>(rows_[static_cast<std::size_t>(row)]) * bytes, bytes);
    to += bytes;
  }
}

void ArrayDataset::gather_for_training(int field, std::span<const std::int64_t> rows, const Draw& draw, void* out) const {
  gather(field, rows, out);
  if (field == 0 && augmentation_) augmentation_->apply(static_cast<std::byte*>(out), rows.size(), fields_[0].dtype, draw);
}

}  // namespace chorale
