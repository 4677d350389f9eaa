#include <chorale/core/metrics/ranking.hpp>

#include <limits>

namespace chorale {

namespace {

/// Mean of the precision at each threshold, weighted by the recall it adds; equal scores share a threshold, nothing is interpolated.
class AveragePrecision : public Ranking {
 public:
  using Ranking::Ranking;

 private:
  double score(std::span<const ScoreRun> runs) const override {
    double hits = 0, given = 0, sum = 0;
    for (std::size_t i = runs.size(); i > 0;) {
      double positives_here = 0;
      for (const double here = runs[i - 1].score; i > 0 && runs[i - 1].score == here; --i) {
        const ScoreRun& run = runs[i - 1];
        positives_here += run.weight * static_cast<double>(run.positives);
        given += run.weight * static_cast<double>(run.positives + run.negatives);
      }
      hits += positives_here;
      if (positives_here != 0) sum += positives_here * (hits / given);
    }
    return hits == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / hits;
  }
};

}  // namespace

void register_metric_average_precision(Registry& registry) {
  registry.of<MetricEntry>().add(
      "average_precision",
      {.help = "area under the precision-recall steps; classes: plain mean of each against the rest",
       .higher_is_better = true,
       .task = MetricEntry::Task::classes,
       .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<AveragePrecision>(outputs); }});
}

}  // namespace chorale
