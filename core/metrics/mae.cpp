#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Mae : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    return std::abs(chunk.prediction[static_cast<std::size_t>(row)] - chunk.target[static_cast<std::size_t>(row)]);
  }
};

}  // namespace

void register_metric_mae(Registry& registry) {
  registry.of<MetricEntry>().add("mae",
                                 {.help = "mean absolute error",
                                  .higher_is_better = false,
                                  .task = MetricEntry::Task::value,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Mae>(outputs); }});
}

}  // namespace chorale
