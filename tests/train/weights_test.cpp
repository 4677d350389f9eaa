// Weights are sums: a row of weight 3 counts as three rows, a share may be empty, and clipping sees the mean gradient of the whole batch.
#include "results.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace chorale;

namespace {

/// `rows` rows of seven features; row r comes times[r] times, or once with that weight.
std::shared_ptr<TensorDataset> repeated(const std::vector<int>& times, bool as_weight) {
  std::vector<float> x, y, w;
  RandomStream random(9);
  for (const int n : times) {
    std::vector<float> row;
    for (int f = 0; f < 7; ++f) row.push_back(static_cast<float>(random.normal()));
    for (int copy = 0; copy < (as_weight ? 1 : n); ++copy) {
      x.insert(x.end(), row.begin(), row.end());
      y.push_back(row[0] > 0 ? 1.0f : 0.0f);
      w.push_back(as_weight ? static_cast<float>(n) : 1.0f);
    }
  }
  auto data = std::make_shared<TensorDataset>(static_cast<std::int64_t>(y.size()));
  data->add("x", {7}, std::move(x));
  data->add("target", {}, std::move(y));
  data->add("weight", {}, std::move(w));
  return data;
}

/// Full batches, no dropout.
SmallRun full_batch(std::shared_ptr<Dataset> data) {
  SmallRun run;
  run.layers = "linear(5) tanh linear(1)";
  run.train = run.validation = data;
  run.config.train.batch = data->rows();
  run.config.train.epochs = 4;
  run.config.train.metrics = {"auc", "log_loss"};
  run.optimizer.name = "sgd", run.optimizer.lr = 0.5;
  return run;
}

}  // namespace

TEST_CASE("a row of weight n is n rows, whatever the ranks: same update, same scores") {
  const std::vector<int> times = {3, 1, 2, 5, 1, 1, 4, 2, 1, 7, 1};
  const auto rows = full_batch(repeated(times, false)).run();
  for (const int ranks : {1, 2, 3, 7}) {
    CAPTURE(ranks);
    SmallRun run = full_batch(repeated(times, true));
    run.ranks = ranks;
    const auto weighted = run.run();
    for (const std::string& error : weighted.errors) CHECK(error == "");
    CHECK(distance(rows.parameters, weighted.parameters) <= 1e-6);
    for (const auto& [score, value] : rows.summary.metrics.at("train"))
      CHECK(weighted.summary.metrics.at("train").at(score) == Approx(value).epsilon(1e-6));
  }
}

TEST_CASE("a batch with fewer rows than workers, or of no weight at all, is an update like any other") {
  for (const std::string dtype : {"f32", "f64"}) {
    SmallRun run = full_batch(repeated({2, 1, 1, 3, 1, 2, 1, 1}, true));
    run.config.train.dtype = dtype;
    run.config.train.batch = 7;  // then a batch of one row
    const auto one = run.run();
    run.ranks = 7;
    const auto seven = run.run();
    for (const std::string& error : seven.errors) CHECK(error == "");
    CHECK(distance(one.parameters, seven.parameters) <= (dtype == "f64" ? 1e-14 : 1e-6));
  }
  SmallRun idle = full_batch(repeated({0, 0, 0, 0}, true));
  idle.config.final_evaluation = false;
  const auto before = idle.run();
  CHECK(before.errors[0] == "");
  for (const double p : before.parameters) CHECK(std::isfinite(p));
}

TEST_CASE("clipping by norm bounds the whole step, clipping by value each of its elements") {
  const auto data = repeated({1, 1, 1, 1, 1, 1, 1, 1, 1}, true);
  const auto step = [&](double clip_norm, double clip_value, int ranks) {
    std::vector<std::vector<double>> p;
    for (const std::int64_t steps : {1, 2}) {
      SmallRun run = full_batch(data);
      run.config.train.dtype = "f64";
      run.config.train.steps = steps;
      run.optimizer.lr = 1, run.optimizer.clip_norm = clip_norm, run.optimizer.clip_value = clip_value;
      run.ranks = ranks;
      p.push_back(run.run().parameters);
    }
    for (std::size_t i = 0; i < p[0].size(); ++i) p[1][i] -= p[0][i];
    return p[1];
  };
  const auto norm = [](const std::vector<double>& v) {
    double squares = 0;
    for (const double x : v) squares += x * x;
    return std::sqrt(squares);
  };
  CHECK(norm(step(0, 0, 1)) > 0.05);
  for (const int ranks : {1, 3}) {
    CHECK(norm(step(1e-3, 0, ranks)) == Approx(1e-3).epsilon(1e-3));  // torch divides by the norm plus 1e-6
    double greatest = 0;
    for (const double x : step(0, 1e-3, ranks)) greatest = std::max(greatest, std::fabs(x));
    CHECK(greatest == Approx(1e-3));
    CHECK(distance(step(0, 0, 1), step(1e6, 1e6, ranks)) <= 1e-12);
  }
}
