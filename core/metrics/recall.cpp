#include <chorale/core/metrics/class_counts.hpp>

#include <limits>

namespace chorale {

namespace {

class Recall : public ClassCounts {
 public:
  using ClassCounts::ClassCounts;

 private:
  double score(double hits, double /*predicted*/, double actual) const override {
    return actual == 0 ? std::numeric_limits<double>::quiet_NaN() : hits / actual;
  }
};

}  // namespace

void register_metric_recall(Registry& registry) {
  registry.of<MetricEntry>().add(
      "recall", {.help = "share of the rows of a class that are given it; binary: class 1 above 0.5, classes: plain mean over them",
                 .higher_is_better = true,
                 .task = MetricEntry::Task::classes,
                 .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Recall>(outputs); }});
}

}  // namespace chorale
