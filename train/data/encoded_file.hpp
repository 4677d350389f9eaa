// All rows of a file, encoded by a pipeline that was fitted before, within data.memory: what prediction and scoring work on.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/data/prepare.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/data/shared_table.hpp>

namespace chorale {

struct EncodedFileSettings {
  DataOptions data;  // of the run; `file` is the one to read
  DType dtype = DType::f32;
  std::shared_ptr<Representations> published = {};  // of pipeline.published
  std::string time = {};                            // column that periods() will read; empty: none
  bool needs_target = false;                        // to score; else what stands in the columns of target and weight does not matter
};

/// One thread. Columns that the model does not need may be absent, or hold anything.
class EncodedFile final : public OpenedRows {
 public:
  /// Collective. Throws DataError for a row that cannot be encoded, or warns of it when data.bad_rows allows it.
  EncodedFile(const Pipeline& pipeline, const EncodedFileSettings& settings, Communicator& comm, Log& log);
  const Dataset& rows() const { return *rows_; }
  /// Whether the file has the columns of another model's features too.
  bool has_columns(const Pipeline& other) const;
  /// By column and row, as PreparedData::entities. A kind that means row numbers has none here: those are of another table. Throws
  /// DataError for a column that the file lacks. Collective.
  std::vector<std::vector<EntityId>> entities(const std::vector<EntityColumn>& columns);
  /// By row, as PreparedData::periods; empty: the request has no time. Throws DataError for a file without the column, or a row without a
  /// time. Collective.
  std::vector<std::int32_t> periods(const TimeRequest& request);
  std::shared_ptr<const Dataset> shared_rows() const override { return rows_; }
  /// Reads the file again where it was too large to keep.
  void each_id(const Visit& visit) override;

 private:
  const Pipeline& pipeline_;
  std::int64_t budget_;
  SharedTable table_;
  std::shared_ptr<MatrixDataset> rows_;
};

}  // namespace chorale
