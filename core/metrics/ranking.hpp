// Metrics of a ranking: they need every score. One output ranks class 1; more are ranked each against the rest.
#pragma once
#include <vector>

#include <chorale/core/metrics/metric.hpp>
#include <chorale/core/metrics/sorted_runs.hpp>

namespace chorale {

/// With more outputs the plain mean over the classes where the score is defined (one against the rest); NaN when there is none.
class Ranking : public Metric {
 public:
  explicit Ranking(std::int64_t outputs) : classes_(static_cast<std::size_t>(outputs)) {}
  void update(const Scored& chunk) override;
  std::vector<std::byte> state() const override;
  void merge(std::span<const std::byte> state) override;
  double value() const override;

 private:
  /// Of one class; runs ascend. NaN where undefined.
  virtual double score(std::span<const ScoreRun> runs) const = 0;
  std::vector<SortedRuns> classes_;
};

}  // namespace chorale
