#include <chorale/core/metrics/class_counts.hpp>

#include <limits>

namespace chorale {

namespace {

class F1 : public ClassCounts {
 public:
  using ClassCounts::ClassCounts;

 private:
  double score(double hits, double predicted, double actual) const override {
    const double both = predicted + actual;
    return both == 0 ? std::numeric_limits<double>::quiet_NaN() : 2 * hits / both;
  }
};

}  // namespace

void register_metric_f1(Registry& registry) {
  registry.of<MetricEntry>().add("f1",
                                 {.help = "harmonic mean of precision and recall; binary: class 1 above 0.5, classes: plain mean over them",
                                  .higher_is_better = true,
                                  .task = MetricEntry::Task::classes,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<F1>(outputs); }});
}

}  // namespace chorale
