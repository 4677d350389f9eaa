// Running statistics of a model over all ranks: each virtual worker stages what its passes saw, and once a step those of all workers are
// merged in their order, on every rank alike: the same bits at every rank count.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

class DataParallel;

/// One thread a rank. A model without statistics costs nothing and sends nothing.
class BatchStatistics {
 public:
  struct Setup {
    Communicator& comm;
    Module& model;
    FlatParams& params;
    std::int64_t virtual_workers, rows;
    const TrainOptions& train;
    const ParallelOptions& parallel;
  };
  /// Collective where a layer is synchronised. Throws UsageError, equal on all ranks, for settings that such layers cannot follow.
  explicit BatchStatistics(const Setup& setup);

  /// The next training passes are worker v's, one of this rank's.
  void begin(std::int64_t v);
  /// After a step that has been made. Collective. Sends [workers, elements of the buffers].
  void update(DataParallel& replicas);
  /// Of Pass: adds up numbers over all ranks, where a layer is synchronised; else null.
  const std::function<void(std::span<double>)>* sum_over_ranks() const { return sum_ ? &sum_ : nullptr; }

 private:
  void refuse(const Setup& setup) const;
  Buffer row(const Tensor& of, std::int64_t i) const { return of.slice(i, 1).buffer(); }

  Communicator& comm_;
  FlatParams& params_;
  std::vector<RunningStatistics*> all_;
  std::int64_t first_worker_ = 0;
  std::vector<std::int64_t> counts_;  // elements by rank
  Tensor mine_, staged_, next_;       // of this rank's workers, of all workers, the new values; rows in the layout of the buffers
  std::unique_ptr<Communicator> in_passes_;
  std::function<void(std::span<double>)> sum_;
};

}  // namespace chorale
