// How the global batch of a step is cut over virtual workers: into equal numbers of rows, or so that costs are as equal as can be where
// rows differ in what they take (sentences of many lengths). A function of the batch, the costs and V, never of the ranks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/data/sampler.hpp>

namespace chorale {

/// One thread.
class BatchCut {
 public:
  /// costs: by row of the data set, above 0, outliving this; empty: workers get equal numbers of rows.
  BatchCut(std::int64_t virtual_workers, std::span<const double> costs) : workers_(virtual_workers), costs_(costs) {}
  /// Takes the next batch. Worker after worker takes its rows, which keep the order of the batch among themselves. By cost, the dearest row
  /// left goes to the worker that has least (Graham 1969, longest processing time first); ties fall to the row that comes first and to the
  /// worker with fewer rows, then the lower number.
  void take(std::span<const std::int64_t> batch);
  /// The batch in the order of workers: positions in it number the samples of a step.
  std::span<const std::int64_t> rows() const { return rows_; }
  /// Worker v's positions in rows(); may be empty.
  Share of(std::int64_t v) const;

 private:
  void assign(std::span<const std::int64_t> batch);
  std::int64_t workers_;
  std::span<const double> costs_;
  std::span<const std::int64_t> rows_;
  std::vector<std::int64_t> ordered_, first_;  // by cost: the rows, and where each worker's begin
  std::vector<std::size_t> dearest_, worker_of_;
};

}  // namespace chorale
