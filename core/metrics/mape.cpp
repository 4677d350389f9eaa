// Source: Hyndman & Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 2006.
#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Mape : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const double target = chunk.target[static_cast<std::size_t>(row)];
    return target == 0 ? 0 : std::abs((chunk.prediction[static_cast<std::size_t>(row)] - target) / target);
  }
  double unit(const Scored& chunk, std::int64_t row) const override { return chunk.target[static_cast<std::size_t>(row)] == 0 ? 0 : 1; }
};

}  // namespace

void register_metric_mape(Registry& registry) {
  registry.of<MetricEntry>().add("mape",
                                 {.help = "mean of |error| / |value|, without rows whose value is 0",
                                  .higher_is_better = false,
                                  .task = MetricEntry::Task::value,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Mape>(outputs); }});
}

}  // namespace chorale
