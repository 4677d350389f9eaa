#include <chorale/core/metrics/class_counts.hpp>

#include <limits>

namespace chorale {

namespace {

class Precision : public ClassCounts {
 public:
  using ClassCounts::ClassCounts;

 private:
  double score(double hits, double predicted, double /*actual*/) const override {
    return predicted == 0 ? std::numeric_limits<double>::quiet_NaN() : hits / predicted;
  }
};

}  // namespace

void register_metric_precision(Registry& registry) {
  registry.of<MetricEntry>().add(
      "precision", {.help = "share of the rows given a class that are of it; binary: class 1 above 0.5, classes: plain mean over them",
                    .higher_is_better = true,
                    .task = MetricEntry::Task::classes,
                    .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Precision>(outputs); }});
}

}  // namespace chorale
