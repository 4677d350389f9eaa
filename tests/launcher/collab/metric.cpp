#include <catch2/catch.hpp>
#include <cmath>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/study_metric.hpp>

using namespace chorale;

namespace {

struct Rows {
  std::vector<double> score, target, weight;
  std::vector<std::uint32_t> entity, counts;
};

/// Few distinct scores, so that ties are common; some entities are not drawn.
Rows random_rows(RandomStream& random, std::size_t n, bool weighted) {
  Rows r;
  const std::uint64_t entities = 1 + n / 2;
  for (std::size_t i = 0; i < n; ++i) {
    r.score.push_back(static_cast<double>(random.below(7)) / 8);
    r.target.push_back(static_cast<double>(random.below(2)));
    if (weighted) r.weight.push_back(static_cast<double>(1 + random.below(5)) / 4);
    r.entity.push_back(static_cast<std::uint32_t>(random.below(entities)));
  }
  for (std::size_t e = 0; e < entities; ++e) r.counts.push_back(static_cast<std::uint32_t>(random.below(4)));
  return r;
}

TaskScores scores_of(const Rows& r, const std::string& metric) {
  TaskScores t{.task = "t", .metric = metric};
  t.prediction = r.score;
  t.target = r.target;
  t.weight = r.weight;
  t.entity.assign(r.entity.begin(), r.entity.end());
  return t;
}

double weight_of(const Rows& r, std::size_t i) { return (r.weight.empty() ? 1 : r.weight[i]) * r.counts[r.entity[i]]; }

double brute_auc(const Rows& r) {
  double won = 0, pairs = 0;
  for (std::size_t i = 0; i < r.score.size(); ++i)
    for (std::size_t j = 0; j < r.score.size(); ++j)
      if (r.target[i] == 1 && r.target[j] == 0) {
        const double weight = weight_of(r, i) * weight_of(r, j);
        won += weight * (r.score[i] > r.score[j] ? 1 : r.score[i] == r.score[j] ? 0.5 : 0);
        pairs += weight;
      }
  return won / pairs;
}

}  // namespace

TEST_CASE("the AUC of a draw is that of all pairs, with ties, counts and weights") {
  const std::uint64_t seed = 7;
  INFO("seed " << seed);
  RandomStream random(seed);
  int defined = 0;
  for (int round = 0; round < 200; ++round) {
    const Rows r = random_rows(random, 1 + random.below(40), round % 2 == 1);
    const double expected = brute_auc(r), got = DrawnMetric(scores_of(r, "auc"), r.entity).value(r.counts);
    if (std::isnan(expected)) {
      CHECK(std::isnan(got));
      continue;
    }
    ++defined;
    CHECK(got == Approx(expected).epsilon(1e-14));  // counts and quarters are exact; the divisions round
  }
  CHECK(defined > 150);
}

TEST_CASE("an entity drawn twice counts as its rows written twice, for every metric") {
  RandomStream random(11);
  for (const char* metric : {"auc", "accuracy", "log_loss", "rmse", "mae"})
    for (int round = 0; round < 20; ++round) {
      const Rows r = random_rows(random, 30, true);
      Rows repeated;
      for (std::size_t i = 0; i < r.score.size(); ++i)
        for (std::uint32_t k = 0; k < r.counts[r.entity[i]]; ++k) {
          repeated.score.push_back(r.score[i]);
          repeated.target.push_back(r.target[i]);
          repeated.weight.push_back(r.weight[i]);
          repeated.entity.push_back(r.entity[i]);
        }
      const std::vector<std::uint32_t> once(r.counts.size(), 1);
      const double expected = DrawnMetric(scores_of(repeated, metric), repeated.entity).value(once);
      CHECK(DrawnMetric(scores_of(r, metric), r.entity).value(r.counts) == Approx(expected).epsilon(1e-12));  // sums in another order
    }
}

TEST_CASE("rmse is the root of the mean square, a mean is a mean") {
  Rows r{.score = {3, 4}, .target = {0, 0}, .weight = {}, .entity = {0, 1}, .counts = {1, 3}};
  CHECK(DrawnMetric(scores_of(r, "rmse"), r.entity).value(r.counts) == Approx(std::sqrt((9 + 3 * 16) / 4.0)));
  CHECK(DrawnMetric(scores_of(r, "mae"), r.entity).value(r.counts) == Approx(15 / 4.0));
  r.counts = {0, 0};
  CHECK(std::isnan(DrawnMetric(scores_of(r, "mae"), r.entity).value(r.counts)));
}

TEST_CASE("a score that is no number leaves AUC undefined") {
  const Rows r{.score = {std::nan(""), 1}, .target = {0, 1}, .weight = {}, .entity = {0, 1}, .counts = {1, 1}};
  CHECK(std::isnan(DrawnMetric(scores_of(r, "auc"), r.entity).value(r.counts)));
}

TEST_CASE("a metric that cannot be drawn is refused with those that can") {
  CHECK_THROWS_WITH(check_study_metric("f1"), Catch::Contains("'f1'") && Catch::Contains("auc, rmse, accuracy"));
}

TEST_CASE("rows scored one by one give the metric of all of them") {
  Registry registry;
  register_all(registry);
  RandomStream random(5);
  const std::size_t n = 50;
  std::vector<double> probability, number, label, weight, loss;
  std::vector<std::uint64_t> entity;
  for (std::size_t i = 0; i < n; ++i) {
    probability.push_back(0.01 + 0.98 * random.uniform());
    number.push_back(random.normal());
    label.push_back(static_cast<double>(random.below(2)));
    weight.push_back(static_cast<double>(random.below(3)));  // 0 too: such a row counts nowhere
    loss.push_back(weight.back() * random.uniform());
    entity.push_back(i);
  }
  std::vector<std::uint32_t> all(n, 1);
  for (const char* metric : {"auc", "accuracy", "log_loss", "brier", "loss", "rmse", "mae"}) {
    INFO(metric);
    const bool is_value = std::string(metric) == "rmse" || std::string(metric) == "mae";
    const Scored test{.rows = static_cast<std::int64_t>(n),
                      .outputs = 1,
                      .prediction = is_value ? number : probability,
                      .target = label,
                      .weight = weight,
                      .sample_loss = loss};
    TaskScores scores{.task = "t", .metric = metric};
    scores.entity = entity;
    score_rows(scores, test, registry);
    CHECK(scores.prediction.size() < n);
    CHECK(scores.higher_is_better == (std::string(metric) == "auc" || std::string(metric) == "accuracy"));
    const std::vector<std::uint32_t> place(scores.entity.begin(), scores.entity.end());
    CHECK(DrawnMetric(scores, place).value(all) == Approx(scores.value).epsilon(1e-12));  // exact sums against plain ones
  }
}
