#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

/// The loss comes weighted already, so the weights only divide.
class Loss : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;
  void update(const Scored& chunk) override {
    if (static_cast<std::int64_t>(chunk.sample_loss.size()) != chunk.rows)
      throw ShapeError("[loss] expected " + std::to_string(chunk.rows) + " sample losses, got " + std::to_string(chunk.sample_loss.size()));
    for (std::int64_t row = 0; row < chunk.rows; ++row)
      if (const double weight = weight_of(chunk, row); weight != 0) add(term(chunk, row), weight);
  }

 private:
  double term(const Scored& chunk, std::int64_t row) const override { return chunk.sample_loss[static_cast<std::size_t>(row)]; }
};

}  // namespace

void register_metric_loss(Registry& registry) {
  registry.of<MetricEntry>().add("loss",
                                 {.help = "mean training loss per unit of sample weight",
                                  .higher_is_better = false,
                                  .task = MetricEntry::Task::any,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Loss>(outputs); }});
}

}  // namespace chorale
