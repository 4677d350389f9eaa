// Source: Kolassa & Schuetz, Advantages of the MAD/Mean ratio over the MAPE, Foresight 2007.
#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class Wape : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    return std::abs(chunk.prediction[static_cast<std::size_t>(row)] - chunk.target[static_cast<std::size_t>(row)]);
  }
  double unit(const Scored& chunk, std::int64_t row) const override { return std::abs(chunk.target[static_cast<std::size_t>(row)]); }
};

}  // namespace

void register_metric_wape(Registry& registry) {
  registry.of<MetricEntry>().add("wape",
                                 {.help = "sum of |error| / sum of |value|",
                                  .higher_is_better = false,
                                  .task = MetricEntry::Task::value,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Wape>(outputs); }});
}

}  // namespace chorale
