// From files to data sets on all ranks: disjoint pieces are read by different ranks, what they saw is merged, the fit sees training rows
// only, and every node holds one feature matrix that its ranks share.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/data/csv_source.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

struct PreparedData {
  Pipeline pipeline;
  std::shared_ptr<MatrixDataset> train, validation, test;
  std::int64_t rows = 0;
  double read_seconds = 0;
  /// Differs when training rows differ: what a resumed run and a score of the run's own part have to agree on.
  std::string identity() const;
};

/// What a loss needs of its target. Throws UsageError for a loss that files cannot feed.
TargetKind target_kind(const std::string& loss);

/// Collective. Errors in the data are DataErrors, equal on all ranks.
PreparedData prepare_data(const DataOptions& data, const TrainOptions& train, Communicator& comm, Log& log);

}  // namespace chorale
