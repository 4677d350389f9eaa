// From files to data sets on all ranks: disjoint pieces are read by different ranks, what they saw is merged, the fit sees training rows
// only, and every node holds one feature matrix that its ranks share.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/data/csv_source.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/collab/entity.hpp>
#include <chorale/train/data/repeated_entities.hpp>
#include <chorale/train/data/representations.hpp>
#include <chorale/train/data/row_times.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// What rows are about.
struct EntityColumn {
  std::string kind;    // "customer"
  std::string column;  // of its keys; empty: the number of the row in the table, from 1
};

/// Of a task that shares representations of entities.
struct EntityRequest {
  std::vector<EntityColumn> columns;
  std::string key = {};    // of prototypes: the kind of one of the columns, or a column of the table; empty: none
  std::string split_kind;  // a row's part follows from its entity of this kind alone; empty: data.split decides
  std::array<double, 3> share = {0.7, 0.15, 0.15};
  std::uint64_t seed = 1;
  Repeats repeats = Repeats::allow;
  TimeRequest time;  // its cut-offs, where given, part the rows instead
};

struct PreparedData {
  Pipeline pipeline;
  std::shared_ptr<MatrixDataset> train, validation, test;
  std::vector<std::vector<EntityId>> entities;                           // by column of the request, by row of the table
  std::vector<std::int32_t> periods;                                     // by row of the table; empty: rows have no time
  std::int32_t scale_before = std::numeric_limits<std::int32_t>::max();  // the first period after the training part
  std::vector<EntityId> key = {};                                        // of the request's key, by row of the table
  std::int64_t rows = 0;
  double read_seconds = 0;
  /// Differs when training rows differ: what a resumed run and a score of the run's own part have to agree on.
  std::string identity() const;
};

/// What a loss needs of its target. Throws UsageError for a loss that files cannot feed.
TargetKind target_kind(const std::string& loss, const Registry& registry);
/// By target; losses as train.loss has them.
std::vector<TargetKind> target_kinds(const std::string& losses, const std::vector<std::string>& targets, const Registry& registry);

/// Keys of [data] that tables have a use for.
std::span<const std::string_view> table_keys();

/// Of tables (data.format = csv; what it is for others: read_data). Collective. Errors in the data are DataErrors, equal on all ranks.
/// published: the rows of a model that was trained before; null: those of data.representations.
PreparedData prepare_data(const DataOptions& data, const TrainOptions& train, Communicator& comm, Log& log, const Registry& registry,
                          const EntityRequest& entities = {}, std::shared_ptr<Representations> published = {});

}  // namespace chorale
