#include <cmath>

#include <chorale/core/metrics/scored_row.hpp>
#include <chorale/core/metrics/weighted_mean.hpp>

namespace chorale {

namespace {

class TopK : public WeightedMean {
 public:
  TopK(std::int64_t outputs, std::int64_t k) : WeightedMean(outputs), k_(k) {}

 private:
  double term(const Scored& chunk, std::int64_t row) const override {
    const std::int64_t target = target_class(chunk, row, classes());
    if (predicted_class(chunk, row) < 0) return std::nan("");
    if (outputs() <= k_) return 1;  // one output is two classes
    const auto scores = chunk.prediction.subspan(static_cast<std::size_t>(row * outputs()), static_cast<std::size_t>(outputs()));
    const double own = scores[static_cast<std::size_t>(target)];
    std::int64_t before = 0;  // of equal scores the first class comes first, as in accuracy
    for (std::int64_t c = 0; c < outputs(); ++c) {
      const double other = scores[static_cast<std::size_t>(c)];
      before += other > own || (other == own && c < target);
    }
    return before < k_ ? 1 : 0;
  }
  std::int64_t k_;
};

template <std::int64_t k>
std::unique_ptr<Metric> make(std::int64_t outputs) {
  return std::make_unique<TopK>(outputs, k);
}

}  // namespace

void register_metric_top_k(Registry& registry) {
  const auto add = [&](const char* name, const char* help, std::unique_ptr<Metric> (*make)(std::int64_t)) {
    registry.of<MetricEntry>().add(name, {.help = help, .higher_is_better = true, .task = MetricEntry::Task::classes, .make = make});
  };
  add("top2_accuracy", "share of rows whose class is among the two with the highest scores; 1 where there are no more", make<2>);
  add("top3_accuracy", "share of rows whose class is among the three with the highest scores; 1 where there are no more", make<3>);
  add("top5_accuracy", "share of rows whose class is among the five with the highest scores; 1 where there are no more", make<5>);
  add("top10_accuracy", "share of rows whose class is among the ten with the highest scores; 1 where there are no more", make<10>);
}

}  // namespace chorale
