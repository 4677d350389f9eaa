// What data.format names: how files become data sets, on all ranks alike. A reader is an entry of the registry, which says what keys of
// [data] it takes; what it gives is named fields of any type (core/data/dataset.hpp), so nothing behind it asks what the files were.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/collab/entity.hpp>
#include <chorale/train/data/prepare.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

struct ReadRequest {
  const DataOptions& data;
  const TrainOptions& train;
  Communicator& comm;
  Log& log;
  const Registry& registry;
  const EntityRequest& entities = {};               // of a task that shares
  std::shared_ptr<Representations> published = {};  // as of prepare_data
};

/// The rows of a run, cut into parts.
struct DataParts {
  Pipeline pipeline;
  std::shared_ptr<const Dataset> train, validation, test;  // a part without rows is empty, not null
  std::int64_t rows = 0;                                   // of all files
  std::vector<std::vector<EntityId>> entities = {};        // as of PreparedData, where rows have keys
  std::vector<std::int32_t> periods = {};                  // the same
  std::string identity = {};                               // differs when training rows differ
};

struct OpenRequest {
  const Pipeline& pipeline;  // of the trained run
  DataOptions data;          // of the run, but `file`, and `labels`, which say what is read
  DType dtype = DType::f32;
  std::shared_ptr<Representations> published = {};  // of pipeline.published
  std::string time = {};                            // column that row keys will need; empty: none
  bool needs_target = false;                        // to score
};

/// All rows of a file as a trained model reads them. One thread.
class OpenedRows {
 public:
  using Visit = std::function<void(std::int64_t row, std::span<const std::string> ids)>;
  virtual ~OpenedRows() = default;
  virtual std::shared_ptr<const Dataset> shared_rows() const = 0;
  /// The texts of pipeline.ids of each row, in the order of rows. For one rank.
  virtual void each_id(const Visit& visit) = 0;
};

/// In the Registry under the name that data.format takes.
struct ReaderEntry {
  std::string help;
  std::vector<std::string_view> keys;  // of [data], that it takes
  /// Collective. Errors in the data are DataErrors, equal on all ranks.
  DataParts (*read)(const ReadRequest& request);
  /// Collective. Throws DataError for rows that the model cannot read.
  std::unique_ptr<OpenedRows> (*open)(const OpenRequest& request, Communicator& comm, Log& log);
};

/// Collective. By the entry of data.format. Throws UsageError for a format that is unknown, or a key that it does not take.
DataParts read_data(const ReadRequest& request);
std::unique_ptr<OpenedRows> open_rows(const OpenRequest& request, const Registry& registry, Communicator& comm, Log& log);

/// What identity is made of: a count of rows and the fitted preprocessing, behind them what else tells rows apart.
std::string rows_identity(std::int64_t rows, const Pipeline& pipeline, const std::string& content = {});

}  // namespace chorale
