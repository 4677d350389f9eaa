#include <chorale/core/metrics/metric.hpp>

#include <array>
#include <cmath>
#include <limits>

#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/number_text.hpp>
#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

namespace {

constexpr int kBins = 10;

/// Expected calibration error: how far stated probabilities lie from frequencies, over ten bins of equal width, weighted by their rows.
/// One output: the probability of class 1 against its frequency. More: the largest probability against how often that class is right.
/// Source: Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.
class Calibration : public Metric {
 public:
  explicit Calibration(std::int64_t outputs) : outputs_(outputs) {}

  void update(const Scored& chunk) override {
    check_scored(chunk, outputs_);
    for (std::int64_t row = 0; row < chunk.rows; ++row) {
      const double weight = weight_of(chunk, row);
      if (weight == 0) continue;
      const std::int64_t target = target_class(chunk, row, outputs_ == 1 ? 2 : outputs_), given = predicted_class(chunk, row);
      if (given < 0) {
        bins_[0].stated.add(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      const double stated = chunk.prediction[static_cast<std::size_t>(outputs_ == 1 ? row : row * outputs_ + given)];
      Bin& bin = bins_[static_cast<std::size_t>(std::fmin(std::fmax(stated * kBins, 0), kBins - 1))];
      bin.weight.add(weight);
      bin.stated.add(weight * stated);
      if (outputs_ == 1 ? target == 1 : target == given) bin.seen.add(weight);
    }
  }

  std::vector<std::byte> state() const override {
    StateWriter out;
    for (const Bin& bin : bins_) bin.weight.write(out), bin.stated.write(out), bin.seen.write(out);
    return out.take();
  }

  void merge(std::span<const std::byte> state) override {
    StateReader in(state);
    for (Bin& bin : bins_) bin.weight.merge(in), bin.stated.merge(in), bin.seen.merge(in);
    in.finish();
  }

  double value() const override {
    Expansion distance, all;
    for (const Bin& bin : bins_) {
      distance.add(std::abs(bin.stated.value() - bin.seen.value()));
      all.add(bin.weight);
    }
    const double weight = all.value();
    return weight == 0 ? std::numeric_limits<double>::quiet_NaN() : distance.value() / weight;
  }

  /// {"bins": [{"from", "to", "weight", "stated", "seen"}, ...]}; stated and seen are null in an empty bin.
  std::string table_json() const override {
    std::string out = R"({"bins": [)";
    for (int i = 0; i < kBins; ++i) {
      const Bin& bin = bins_[static_cast<std::size_t>(i)];
      const double weight = bin.weight.value();
      out += std::string(i == 0 ? "" : ", ") + R"({"from": )" + number_text(i / 10.0) + R"(, "to": )" + number_text((i + 1) / 10.0) +
             R"(, "weight": )" + number_text(weight) + R"(, "stated": )" + number_text(bin.stated.value() / weight) + R"(, "seen": )" +
             number_text(bin.seen.value() / weight) + "}";
    }
    return out + "]}";
  }

 private:
  struct Bin {
    Expansion weight, stated, seen;  // sums: of weights, of weight * stated probability, of weight where it came true
  };
  std::int64_t outputs_;
  std::array<Bin, kBins> bins_;
};

}  // namespace

void register_metric_calibration(Registry& registry) {
  registry.of<MetricEntry>().add(
      "calibration", {.help = "expected calibration error over ten bins of stated probability, with the table of bins",
                      .higher_is_better = false,
                      .task = MetricEntry::Task::classes,
                      .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Calibration>(outputs); }});
}

}  // namespace chorale
