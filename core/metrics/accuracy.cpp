#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Accuracy : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const std::int64_t target = target_class(chunk, row, classes()), given = predicted_class(chunk, row);
    if (given < 0) return std::nan("");
    return given == target ? 1 : 0;
  }
};

}  // namespace

void register_metric_accuracy(Registry& registry) {
  registry.of<MetricEntry>().add(
      "accuracy", {.help = "share of rows given their own class (binary: above 0.5 is class 1)",
                   .higher_is_better = true,
                   .task = MetricEntry::Task::classes,
                   .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Accuracy>(outputs); }});
}

}  // namespace chorale
