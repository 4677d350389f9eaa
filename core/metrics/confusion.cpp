#include <chorale/core/metrics/metric.hpp>

#include <limits>
#include <map>

#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/number_text.hpp>
#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

namespace {

/// Weight by (true class, given class). Only cells that occur are kept, so a thousand classes are no burden.
class Confusion : public Metric {
 public:
  explicit Confusion(std::int64_t outputs) : outputs_(outputs), classes_(outputs == 1 ? 2 : outputs) {}

  void update(const Scored& chunk) override {
    check_scored(chunk, outputs_);
    for (std::int64_t row = 0; row < chunk.rows; ++row) {
      const double weight = weight_of(chunk, row);
      if (weight == 0) continue;
      const std::int64_t target = target_class(chunk, row, classes_), given = predicted_class(chunk, row);
      (given < 0 ? undefined_ : cells_[target * classes_ + given]).add(weight);
    }
  }

  std::vector<std::byte> state() const override {
    StateWriter out;
    undefined_.write(out);
    out.put(static_cast<std::uint64_t>(cells_.size()));
    for (const auto& [cell, weight] : cells_) out.put(cell), weight.write(out);
    return out.take();
  }

  void merge(std::span<const std::byte> state) override {
    StateReader in(state);
    undefined_.merge(in);
    for (auto left = in.get<std::uint64_t>(); left > 0; --left) {
      const auto cell = in.get<std::int64_t>();
      if (cell < 0 || cell >= classes_ * classes_) StateReader::fail("has cell " + std::to_string(cell) + " of another matrix");
      cells_[cell].merge(in);
    }
    in.finish();
  }

  double value() const override {
    Expansion hits, all;
    for (const auto& [cell, weight] : cells_) {
      all.add(weight);
      if (cell / classes_ == cell % classes_) hits.add(weight);
    }
    if (undefined_.value() != 0 || all.value() == 0) return std::numeric_limits<double>::quiet_NaN();
    return hits.value() / all.value();
  }

  /// {"rows": "target", "columns": "prediction", "matrix": [[...], ...]}
  std::string table_json() const override {
    std::string out = R"({"rows": "target", "columns": "prediction", "matrix": [)";
    for (std::int64_t target = 0; target < classes_; ++target) {
      out += target == 0 ? "[" : ", [";
      for (std::int64_t given = 0; given < classes_; ++given) {
        const auto cell = cells_.find(target * classes_ + given);
        out += (given == 0 ? "" : ", ") + number_text(cell == cells_.end() ? 0 : cell->second.value());
      }
      out += "]";
    }
    return out + "]}";
  }

 private:
  std::int64_t outputs_, classes_;
  std::map<std::int64_t, Expansion> cells_;
  Expansion undefined_;  // weight of rows with NaN outputs
};

}  // namespace

void register_metric_confusion(Registry& registry) {
  registry.of<MetricEntry>().add(
      "confusion", {.help = "table of true against given classes; its number is the accuracy",
                    .higher_is_better = true,
                    .task = MetricEntry::Task::classes,
                    .make = [](std::int64_t outputs) -> std::unique_ptr<Metric> { return std::make_unique<Confusion>(outputs); }});
}

}  // namespace chorale
