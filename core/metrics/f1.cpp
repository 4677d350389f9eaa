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

template <ClassAverage average>
std::unique_ptr<Metric> make(std::int64_t outputs) {
  return std::make_unique<F1>(outputs, average);
}

}  // namespace

void register_metric_f1(Registry& registry) {
  auto& metrics = registry.of<MetricEntry>();
  const auto add = [&](const char* name, const char* help, std::unique_ptr<Metric> (*make)(std::int64_t)) {
    metrics.add(name, {.help = help, .higher_is_better = true, .task = MetricEntry::Task::classes, .make = make});
  };
  add("f1", "harmonic mean of precision and recall; binary: class 1 above 0.5, classes: plain mean over them", make<ClassAverage::usual>);
  add("macro_f1", "F1 of each class, plain mean over those that occur, of two classes too", make<ClassAverage::macro>);
  add("micro_f1", "F1 of all classes' counts together", make<ClassAverage::micro>);
  add("weighted_f1", "F1 of each class, mean by how often the class is true", make<ClassAverage::weighted>);
}

}  // namespace chorale
