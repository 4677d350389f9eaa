#include <chorale/train/collab/fold_rows.hpp>

#include <chorale/core/base/random.hpp>

namespace chorale {

std::int64_t fold_of(EntityId id, std::int64_t folds) {
  if (id == kNoEntity) return -1;
  // Mixed again: the upper bits of ids are their buckets, and what else goes by ids must not go by folds.
  return static_cast<std::int64_t>(mix(id, 0x666F6C64u) % static_cast<std::uint64_t>(folds));
}

FoldRows::FoldRows(std::shared_ptr<const Dataset> rows, const std::vector<std::vector<EntityId>>& entities, std::int64_t folds)
    : rows_(std::move(rows)), entities_(entities), folds_(folds), fields_(rows_->fields()) {
  fields_.push_back({"folds", DType::f32, {static_cast<std::int64_t>(entities_.size())}});
}

void FoldRows::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  if (static_cast<std::size_t>(field) + 1 < fields_.size()) return rows_->gather(field, rows, out);
  auto* to = static_cast<float*>(out);
  for (const std::int64_t row : rows)
    for (const std::vector<EntityId>& kind : entities_)
      *to++ = static_cast<float>(fold_of(kind[static_cast<std::size_t>(rows_->row_id(row))], folds_));
}

}  // namespace chorale
