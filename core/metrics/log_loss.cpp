// log_loss, and perplexity, which is its exponential: Jelinek, Mercer, Bahl & Baker 1977.
#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

// Probabilities are kept this far from 0, as scikit-learn does for doubles: a sure mistake costs 36 nats, not infinity.
constexpr double kSmallest = 2.220446049250313e-16;

class LogLoss : public WeightedMean {
 public:
  using WeightedMean::WeightedMean;

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const std::int64_t target = target_class(chunk, row, classes());
    if (outputs() > 1) return -std::log(clipped(chunk.prediction[static_cast<std::size_t>(row * outputs() + target)]));
    const double p = clipped(chunk.prediction[static_cast<std::size_t>(row)]);
    return target == 1 ? -std::log(p) : -std::log1p(-p);
  }
  static double clipped(double p) { return std::isnan(p) ? p : std::fmin(std::fmax(p, kSmallest), 1 - kSmallest); }
};

/// Among how many classes the model is as unsure as if all were alike.
class Perplexity : public LogLoss {
 public:
  using LogLoss::LogLoss;
  double value() const override { return std::exp(LogLoss::value()); }
};

}  // namespace

void register_metric_perplexity(Registry& registry) {
  registry.of<MetricEntry>().add(
      "perplexity", {.help = "exponential of the mean negative log probability of the true class",
                     .higher_is_better = false,
                     .task = MetricEntry::Task::classes,
                     .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Perplexity>(outputs); }});
}

void register_metric_log_loss(Registry& registry) {
  registry.of<MetricEntry>().add(
      "log_loss", {.help = "mean negative log probability of the true class, in nats",
                   .higher_is_better = false,
                   .task = MetricEntry::Task::classes,
                   .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<LogLoss>(outputs); }});
}

}  // namespace chorale
