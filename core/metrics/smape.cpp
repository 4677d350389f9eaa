// Source: Makridakis et al., The M4 Competition, Int. J. Forecasting 2020: a share of 2, not in per cent.
#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Smape : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const double prediction = chunk.prediction[static_cast<std::size_t>(row)], target = chunk.target[static_cast<std::size_t>(row)];
    return prediction == target ? 0 : 2 * std::abs(prediction - target) / (std::abs(prediction) + std::abs(target));
  }
};

}  // namespace

void register_metric_smape(Registry& registry) {
  registry.of<MetricEntry>().add(
      "smape", {.help = "mean of 2 |error| / (|value| + |prediction|)",
                .higher_is_better = false,
                .task = MetricEntry::Task::value,
                .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Smape>(outputs); }});
}

}  // namespace chorale
