#include <chorale/core/metrics/ranking.hpp>

#include <limits>

namespace chorale {

namespace {

/// Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half. Exact, no histogram.
/// Source: Hanley & McNeil, Radiology 1982 (equal to the Mann-Whitney statistic).
class Auc : public Ranking {
 public:
  using Ranking::Ranking;

 private:
  double score(std::span<const ScoreRun> runs) const override {
    double positives = 0, negatives = 0, pairs = 0;
    for (std::size_t i = 0; i < runs.size();) {
      double positives_here = 0, negatives_here = 0;
      for (const double here = runs[i].score; i < runs.size() && runs[i].score == here; ++i) {
        positives_here += runs[i].weight * static_cast<double>(runs[i].positives);
        negatives_here += runs[i].weight * static_cast<double>(runs[i].negatives);
      }
      pairs += positives_here * (negatives + 0.5 * negatives_here);
      positives += positives_here;
      negatives += negatives_here;
    }
    if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
    return pairs / positives / negatives;
  }
};

}  // namespace

void register_metric_auc(Registry& registry) {
  registry.of<MetricEntry>().add(
      "auc", {.help = "area under the ROC curve, exact, ties counting half; classes: plain mean of each against the rest",
              .higher_is_better = true,
              .task = MetricEntry::Task::classes,
              .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Auc>(outputs); }});
}

}  // namespace chorale
