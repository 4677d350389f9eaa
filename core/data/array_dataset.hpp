// Rows of arrays in memory as a data set: named fields, each of a type of its own.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/data/augment.hpp>
#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// A field with all of its rows, packed, row after row.
struct ArrayColumn {
  Field field;
  const std::byte* rows = nullptr;
};

/// Read-only; any thread may gather.
class ArrayDataset final : public Dataset {
 public:
  /// rows: which rows of the columns, by number, in the order of this part. owner: keeps the memory of the columns. augmentation: of the
  /// first field, in training; null: none.
  ArrayDataset(std::vector<ArrayColumn> columns, std::vector<std::int64_t> rows, std::shared_ptr<const void> owner,
               std::shared_ptr<const Augmentation> augmentation = nullptr);
  std::int64_t rows() const override { return static_cast<std::int64_t>(rows_.size()); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  void gather_for_training(int field, std::span<const std::int64_t> rows, const Draw& draw, void* out) const override;
  std::int64_t row_id(std::int64_t row) const override { return rows_[static_cast<std::size_t>(row)]; }

 private:
  std::vector<Field> fields_;
  std::vector<const std::byte*> columns_;
  std::vector<std::size_t> row_bytes_;
  std::vector<std::int64_t> rows_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const Augmentation> augmentation_;
};

}  // namespace chorale
