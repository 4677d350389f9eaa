// Every registered metric against scikit-learn; cut into any chunks and merged in any order it gives the same bits.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <set>

#include <chorale/core/base/random.hpp>
#include <chorale/core/metrics/metric.hpp>

using namespace chorale;

namespace {

using Task = MetricEntry::Task;

/// Rows with their answers.
struct Rows {
  explicit Rows(const nlohmann::json& j)
      : outputs(j.at("outputs")), prediction(j.at("prediction")), target(j.at("target")), weight(j.at("weight")) {
    task = j.at("task") == "binary" ? Task::binary : j.at("task") == "classes" ? Task::classes : Task::value;
    for (std::size_t r = 0; r < target.size(); ++r) loss.push_back((weight.empty() ? 1 : weight[r]) * 0.25 * static_cast<double>(r));
  }
  Scored part(std::size_t first, std::size_t n) const {
    const auto c = static_cast<std::size_t>(outputs);
    Scored s;
    s.rows = static_cast<std::int64_t>(n), s.outputs = outputs;
    s.prediction = std::span(prediction).subspan(first * c, n * c);
    s.target = std::span(target).subspan(first, n);
    s.sample_loss = std::span(loss).subspan(first, n);
    if (!weight.empty()) s.weight = std::span(weight).subspan(first, n);
    return s;
  }
  std::int64_t outputs;
  Task task;
  std::vector<double> prediction, target, weight, loss;
};

std::unique_ptr<Metric> make(const std::string& metric, const Rows& rows, const Registry& registry) {
  return std::move(make_metrics(std::vector{metric}, rows.outputs, rows.task, registry)[0]);
}

}  // namespace

TEST_CASE("every metric has scikit-learn's value, with ties, weights and classes that are never given") {
  Registry registry;
  register_all(registry);
  std::set<std::string> left;
  for (const std::string& metric : registry.of<MetricEntry>().names()) left.insert(metric);
  left.erase("loss");  // what the trainer's own tests look at
  const auto cases = golden("sklearn_metrics.json");
  for (const auto& values : cases) {
    const Rows rows(values);
    for (const auto& [metric, score] : values.at("scores").items()) {
      CAPTURE(metric, values.at("task").dump(), rows.weight.size());
      left.erase(metric);
      const auto scored = make(metric, rows, registry);
      scored->update(rows.part(0, rows.target.size()));
      CHECK(scored->value() == Approx(score.get<double>()).epsilon(1e-12));
      if (metric != "confusion") continue;
      const auto matrix = nlohmann::json::parse(scored->table_json()).at("matrix");
      REQUIRE(matrix.size() == values.at("matrix").size());
      for (std::size_t r = 0; r < matrix.size(); ++r)
        for (std::size_t c = 0; c < matrix.size(); ++c)
          CHECK(matrix[r][c].get<double>() == Approx(values.at("matrix")[r][c].get<double>()).margin(1e-12));
    }
  }
  CAPTURE(left);
  CHECK(left.empty());
}

TEST_CASE("a metric's bits depend neither on how rows are cut into chunks nor on the order of merging") {
  Registry registry;
  register_all(registry);
  const auto cases = golden("sklearn_metrics.json");
  for (const auto& values : cases) {
    const Rows rows(values);
    auto names = values.at("scores").get<std::map<std::string, double>>();
    names["loss"] = 0;
    for (const auto& [metric, unused] : names) {
      CAPTURE(metric, rows.weight.size());
      const auto whole = make(metric, rows, registry);
      whole->update(rows.part(0, rows.target.size()));
      for (const std::size_t chunk : {1u, 7u, 40u}) {
        std::vector<std::vector<std::byte>> states;
        for (std::size_t first = 0; first < rows.target.size(); first += chunk) {
          const auto some = make(metric, rows, registry);
          some->update(rows.part(first, std::min(chunk, rows.target.size() - first)));
          states.push_back(some->state());
        }
        const auto forth = make(metric, rows, registry), back = make(metric, rows, registry);
        for (const auto& state : states) forth->merge(state);
        for (auto it = states.rbegin(); it != states.rend(); ++it) back->merge(*it);
        CHECK(forth->value() == whole->value());
        CHECK(back->value() == whole->value());
        CHECK(forth->table_json() == whole->table_json());
      }
    }
  }
}

TEST_CASE("a score that is not defined is NaN, not a number that looks like one") {
  Registry registry;
  register_all(registry);
  const std::vector<double> ones = {1, 1}, low = {0.1, 0.2}, spoilt = {0.1, std::numeric_limits<double>::quiet_NaN()};
  const auto value = [&](const char* metric, std::span<const double> prediction, std::span<const double> target, Task task) {
    const auto m = std::move(make_metrics(std::vector<std::string>{metric}, 1, task, registry)[0]);
    m->update(
        {.rows = static_cast<std::int64_t>(target.size()), .prediction = prediction, .target = target, .weight = {}, .sample_loss = {}});
    return m->value();
  };
  CHECK(std::isnan(value("auc", low, ones, Task::binary)));
  CHECK(std::isnan(value("precision", low, ones, Task::binary)));
  CHECK(std::isnan(value("r2", low, ones, Task::value)));
  for (const char* metric : {"auc", "average_precision", "accuracy", "precision", "recall", "f1", "macro_f1", "micro_f1", "weighted_f1",
                             "top3_accuracy", "log_loss", "brier", "confusion"}) {
    CAPTURE(metric);
    CHECK(std::isnan(value(metric, spoilt, ones, Task::binary)));
  }
  for (const std::string& metric : registry.of<MetricEntry>().names()) {
    CAPTURE(metric);
    const MetricEntry& entry = registry.of<MetricEntry>().at(metric, "metric");
    CHECK(std::isnan(entry.make(1)->value()));  // no rows
  }
}

TEST_CASE("a metric that the targets cannot have is refused with those that fit") {
  Registry registry;
  register_all(registry);
  const auto words = [&](const std::vector<std::string>& names, std::int64_t outputs, Task task) -> std::string {
    try {
      make_metrics(names, outputs, task, registry);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  CHECK_THAT(words({"auc"}, 1, Task::value), Catch::Contains("auc") && Catch::Contains("rmse"));
  CHECK_THAT(words({"acuracy"}, 1, Task::binary), Catch::Contains("did you mean 'accuracy'"));
  CHECK_THAT(words({"auc", "auc"}, 1, Task::binary), Catch::Contains("named twice"));
  CHECK_THAT(words({"auc"}, 1, Task::classes), Catch::Contains("2 outputs or more"));
}
