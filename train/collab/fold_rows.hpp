// Which fold each row's entities fall into, where a task publishes out of fold: by id alone, the same at every run.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/entity.hpp>

namespace chorale {

/// In [0, folds); -1 of kNoEntity.
std::int64_t fold_of(EntityId id, std::int64_t folds);

/// A data set with "folds" [kinds] beside its own fields. rows->row_id() is the number of the row in the table.
class FoldRows final : public Dataset {
 public:
  /// entities: by kind, by row of the table; they outlive this.
  FoldRows(std::shared_ptr<const Dataset> rows, const std::vector<std::vector<EntityId>>& entities, std::int64_t folds);
  std::int64_t rows() const override { return rows_->rows(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::span<const double> costs() const override { return rows_->costs(); }
  std::int64_t row_id(std::int64_t row) const override { return rows_->row_id(row); }

 private:
  std::shared_ptr<const Dataset> rows_;
  const std::vector<std::vector<EntityId>>& entities_;
  std::int64_t folds_;
  std::vector<Field> fields_;
};

}  // namespace chorale
