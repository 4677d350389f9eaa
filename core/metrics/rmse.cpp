#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Rmse : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;
  double value() const override { return std::sqrt(WeightedMean::value()); }

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const double error = chunk.prediction[static_cast<std::size_t>(row)] - chunk.target[static_cast<std::size_t>(row)];
    return error * error;
  }
};

}  // namespace

void register_metric_rmse(Registry& registry) {
  registry.of<MetricEntry>().add("rmse",
                                 {.help = "root of the mean squared error",
                                  .higher_is_better = false,
                                  .task = MetricEntry::Task::value,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Rmse>(outputs); }});
}

}  // namespace chorale
