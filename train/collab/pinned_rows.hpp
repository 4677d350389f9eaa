// The peers' rows that a task of a collaboration was trained with, for scoring it later: those of its checkpoint's version and no others.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/pinned_version.hpp>
#include <chorale/train/collab/published_rows.hpp>

namespace chorale {

/// One thread; read-only once made.
class PinnedRows {
 public:
  /// No rows at all: every entity is one that nobody has published of.
  explicit PinnedRows(const PinnedVersion& version) : version_(version) {}
  /// store, task: store.safetensors and NAME.safetensors of the tick. best: the rows of the best weights, else those of the last ones.
  /// Throws CheckpointError that names both versions where the tick holds rows of another one.
  PinnedRows(const PinnedVersion& version, const SafetensorsFile& task, const SafetensorsFile& store, const StoreOptions& options,
             bool best);
  const PinnedVersion& version() const { return version_; }
  /// The number of floats of "shared".
  std::int64_t columns() const { return static_cast<std::int64_t>(version_.sources.size()) * version_.width; }
  /// A source's row of an entity, version().width values; false, and zeros, where there is none of this version. Entities that the task
  /// was not trained with are served from the store where that is of the same version. With time the row of what was known before the
  /// period; of a period that the task has no row of, and where the store has gone on, what was known before its newest row until then.
  bool fetch(std::size_t source, EntityId entity, float* out, std::int32_t period = 0) const;

 private:
  struct Table {
    std::vector<EntityId> ids;          // rising
    std::vector<std::int32_t> periods;  // rising within an id; empty: without time
    std::vector<float> rows;            // [ids, width]
  };
  PinnedVersion version_;
  std::vector<Table> tables_;           // by source
  std::optional<PublishedRows> store_;  // where it is of the same version
};

/// A data set with "shared" beside its own fields, for rows of any table.
class PinnedDataset final : public Dataset {
 public:
  /// entities: by kind of version().kinds, by row of the table, whose numbers rows->row_id() gives. periods: the same, where
  /// version().has_time.
  PinnedDataset(std::shared_ptr<const Dataset> rows, std::shared_ptr<const PinnedRows> pinned, std::vector<std::vector<EntityId>> entities,
                std::vector<std::int32_t> periods = {});
  std::int64_t rows() const override { return rows_->rows(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::int64_t row_id(std::int64_t row) const override { return rows_->row_id(row); }
  /// Rows of whose entities no peer has published.
  std::int64_t unseen() const;

 private:
  bool shared(std::int64_t row, float* out) const;
  std::shared_ptr<const Dataset> rows_;
  std::shared_ptr<const PinnedRows> pinned_;
  std::vector<std::vector<EntityId>> entities_;
  std::vector<std::int32_t> periods_;
  std::vector<std::size_t> kind_of_;  // by source
  std::vector<Field> fields_;
};

}  // namespace chorale
