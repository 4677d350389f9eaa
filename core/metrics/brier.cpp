#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

// Source: Brier, "Verification of forecasts expressed in terms of probability", 1950. With one output the usual half form, (p - y)^2.
class Brier : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const std::int64_t target = target_class(chunk, row, classes());
    const std::int64_t first = outputs() == 1 ? 1 : 0;  // the class of the first output
    double sum = 0;
    for (std::int64_t c = 0; c < outputs(); ++c) {
      const double distance = chunk.prediction[static_cast<std::size_t>(row * outputs() + c)] - (c + first == target ? 1.0 : 0.0);
      sum += distance * distance;
    }
    return sum;
  }
};

}  // namespace

void register_metric_brier(Registry& registry) {
  registry.of<MetricEntry>().add(
      "brier", {.help = "mean squared distance of probabilities and truth; with classes summed over them (0 to 2)",
                .higher_is_better = false,
                .task = MetricEntry::Task::classes,
                .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Brier>(outputs); }});
}

}  // namespace chorale
