// What a task has fetched of its peers: normalised rows of one version of the store for the entities of its own rows, and the data sets
// that hand them to the model as "shared". Rows are pinned: what a model was trained with is what it is evaluated with.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/train/collab/store.hpp>

namespace chorale {

/// A peer's vectors of one kind of entity.
struct FetchSource {
  int publisher = 0;                       // in the store
  std::string kind;                        // of entity
  std::vector<std::int32_t> of_row;        // by row of this task's table: index into `positions`; -1: the row has no such entity
  std::vector<std::int32_t> positions;     // by entity of this task: the publisher's position; -1: it does not know the entity
  std::vector<EntityId> ids = {};          // by entity of this task, rising: what a checkpoint knows rows by
  std::vector<std::int32_t> periods = {};  // the same; empty: without time
};

/// One thread; the data sets read it on that thread.
class FetchedRows {
 public:
  FetchedRows(const Store& store, std::vector<FetchSource> sources);
  /// Takes the store's rows of now.
  void refresh();
  /// Remembers the rows in use, and takes them back.
  void keep() { kept_ = tables_, kept_version_ = version_; }
  void use_kept();
  /// Of the rows in use, and of the remembered ones: hash_of_rows().
  std::string hash() const;
  std::string kept_hash() const;
  /// What a checkpoint keeps beside the store: the remembered rows, [entities, width] a source, and whose they are.
  std::vector<NamedTensor> state() const;
  std::int64_t kept_version() const { return kept_version_; }
  /// After the store has been restored. Throws CheckpointError for rows of other entities.
  void restore(const SafetensorsFile& file, std::int64_t kept_version);
  /// Of the store, when refresh() was last called; what use_kept() took back.
  std::int64_t version() const { return version_; }
  const std::vector<FetchSource>& sources() const { return sources_; }
  std::int64_t columns() const { return static_cast<std::int64_t>(sources_.size()) * width_; }
  /// Of rows and where they come from, without the number of each row of the table.
  std::int64_t bytes() const;
  /// "shared" of rows of the table, packed: [rows, columns()].
  void gather(std::span<const std::int64_t> table_rows, float* out) const;

 private:
  const Store& store_;
  std::vector<FetchSource> sources_;
  std::int64_t width_, version_ = 0, kept_version_ = 0;
  std::vector<std::vector<float>> tables_, kept_;  // by source: [entities of this task, width]
};

/// A data set with "shared" [columns] beside its own fields. rows->row_id() is the number of the row in the table.
class SharedDataset final : public Dataset {
 public:
  SharedDataset(std::shared_ptr<const Dataset> rows, const FetchedRows& fetched);
  std::int64_t rows() const override { return rows_->rows(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::span<const double> costs() const override { return rows_->costs(); }
  std::int64_t row_id(std::int64_t row) const override { return rows_->row_id(row); }

 private:
  std::shared_ptr<const Dataset> rows_;
  const FetchedRows& fetched_;
  std::vector<Field> fields_;
};

}  // namespace chorale
