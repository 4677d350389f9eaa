// NaN where a value or a prediction is below -1.
#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Rmsle : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;
  double value() const override { return std::sqrt(WeightedMean::value()); }

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const double error =
        std::log1p(chunk.prediction[static_cast<std::size_t>(row)]) - std::log1p(chunk.target[static_cast<std::size_t>(row)]);
    return error * error;
  }
};

}  // namespace

void register_metric_rmsle(Registry& registry) {
  registry.of<MetricEntry>().add(
      "rmsle", {.help = "root of the mean of (log(1 + prediction) - log(1 + value))^2",
                .higher_is_better = false,
                .task = MetricEntry::Task::value,
                .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Rmsle>(outputs); }});
}

}  // namespace chorale
