#include <array>
#include <limits>

#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

namespace {

/// 1 - squared error / squared distance from the mean. NaN without rows or when all targets are equal.
class R2 : public Metric {
 public:
  explicit R2(std::int64_t outputs) : outputs_(outputs) {}

  void update(const Scored& chunk) override {
    check_scored(chunk, outputs_);
    for (std::int64_t row = 0; row < chunk.rows; ++row) {
      const double weight = weight_of(chunk, row), target = chunk.target[static_cast<std::size_t>(row)];
      if (weight == 0) continue;
      const double error = chunk.prediction[static_cast<std::size_t>(row)] - target;
      Expansion first;
      first.add_product(weight, target);
      sums_[0].add(weight);
      sums_[1].add(first);
      sums_[2].add_product(first, target);
      sums_[3].add(weight * error * error);
    }
  }

  std::vector<std::byte> state() const override {
    StateWriter out;
    for (const Expansion& sum : sums_) sum.write(out);
    return out.take();
  }

  void merge(std::span<const std::byte> state) override {
    StateReader in(state);
    for (Expansion& sum : sums_) sum.merge(in);
    in.finish();
  }

  double value() const override {
    const auto& [weight, first, second, squared_error] = sums_;
    const double total_weight = weight.value();
    if (total_weight == 0) return std::numeric_limits<double>::quiet_NaN();
    // sum w (y - m)^2 = sum w y^2 - 2 m sum w y + m^2 sum w, all without rounding: years or prices far from 0 cancel here.
    const double mean = first.value() / total_weight;
    Expansion spread = second, mean_weight, off;
    mean_weight.add_product(weight, mean);
    spread.add_product(first, -2 * mean);
    spread.add_product(mean_weight, mean);
    // The rounding of m itself: sum w (y - m) is not quite 0.
    off.add(first);
    off.add_product(mean_weight, -1);
    const double total = spread.value() - off.value() * off.value() / total_weight;
    return total > 0 ? 1 - squared_error.value() / total : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  std::int64_t outputs_;
  std::array<Expansion, 4> sums_;  // of w, w y, w y^2, w (p - y)^2
};

}  // namespace

void register_metric_r2(Registry& registry) {
  registry.of<MetricEntry>().add("r2",
                                 {.help = "share of the targets' variance that is explained; 1 is perfect, 0 is the mean's",
                                  .higher_is_better = true,
                                  .task = MetricEntry::Task::value,
                                  .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<R2>(outputs); }});
}

}  // namespace chorale
