#include <chorale/launcher/collab/study_metric.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

constexpr std::array<std::string_view, 5> kMeans = {"accuracy", "log_loss", "brier", "loss", "mae"};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The part of one row.
Scored one_row(const Scored& test, std::int64_t row) {
  const auto at = static_cast<std::size_t>(row), outputs = static_cast<std::size_t>(test.outputs);
  return {.rows = 1,
          .outputs = test.outputs,
          .prediction = test.prediction.subspan(at * outputs, outputs),
          .target = test.target.subspan(at, 1),
          .weight = test.weight.empty() ? test.weight : test.weight.subspan(at, 1),
          .sample_loss = test.sample_loss.empty() ? test.sample_loss : test.sample_loss.subspan(at, 1)};
}

}  // namespace

void check_study_metric(const std::string& metric) {
  if (metric == "auc" || metric == "rmse" || std::find(kMeans.begin(), kMeans.end(), metric) != kMeans.end()) return;
  std::string known = "auc, rmse";
  for (const std::string_view name : kMeans) known += ", " + std::string(name);
  throw UsageError("[collab study] a study cannot draw test rows again for the metric '" + metric + "'; name one of " + known +
                   " first in train.metrics");
}

void score_rows(TaskScores& scores, const Scored& test, const Registry& registry) {
  check_study_metric(scores.metric);
  const MetricEntry& entry = registry.of<MetricEntry>().at(scores.metric, "metric");
  const bool is_auc = scores.metric == "auc";
  if (is_auc && test.outputs != 1)
    throw UsageError("[collab study] task " + scores.task + ": auc of " + std::to_string(test.outputs) +
                     " classes cannot be drawn again; name accuracy or log_loss first in train.metrics");
  if (scores.entity.size() != static_cast<std::size_t>(test.rows))
    throw InternalError("[collab study] task " + scores.task + " has " + std::to_string(scores.entity.size()) + " entities for " +
                        std::to_string(test.rows) + " test rows");
  const auto all = entry.make(test.outputs);
  all->update(test);
  scores.value = all->value();
  scores.higher_is_better = entry.higher_is_better;
  std::vector<std::uint64_t> entities;
  std::vector<double> prediction, target, weight;
  for (std::int64_t row = 0; row < test.rows; ++row) {
    const Scored here = one_row(test, row);
    if (!here.weight.empty() && here.weight[0] == 0) continue;
    const auto alone = entry.make(test.outputs);
    if (!is_auc) alone->update(here);
    prediction.push_back(is_auc ? here.prediction[0] : alone->value());
    target.push_back(here.target[0]);
    if (!here.weight.empty()) weight.push_back(here.weight[0]);
    entities.push_back(scores.entity[static_cast<std::size_t>(row)]);
  }
  scores.prediction = std::move(prediction);
  scores.target = std::move(target);
  scores.weight = std::move(weight);
  scores.entity = std::move(entities);
}

DrawnMetric::DrawnMetric(const TaskScores& scores, std::span<const std::uint32_t> entity)
    : kind_(scores.metric == "auc"    ? Kind::auc
            : scores.metric == "rmse" ? Kind::root
                                      : Kind::mean) {
  check_study_metric(scores.metric);
  const std::size_t n = scores.prediction.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto& score = scores.prediction;
  if (kind_ == Kind::auc) {
    undefined_ = std::any_of(score.begin(), score.end(), [](double s) { return std::isnan(s); });
    if (undefined_) return;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] < score[b]; });
  }
  rows_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = order[i];
    const double term = kind_ == Kind::root ? score[at] * score[at] : score[at];
    rows_.push_back({.value = kind_ == Kind::auc ? (scores.target[at] > 0 ? 1.0 : 0.0) : term,
                     .weight = scores.weight.empty() ? 1 : scores.weight[at],
                     .entity = entity[at],
                     .last = i + 1 == n || score[order[i + 1]] != score[at]});
  }
}

double DrawnMetric::value(std::span<const std::uint32_t> counts) const {
  if (undefined_) return kNaN;
  if (kind_ == Kind::auc) return auc(counts);
  return kind_ == Kind::root ? std::sqrt(mean(counts)) : mean(counts);
}

// Source: Hanley & McNeil, Radiology 1982 (equal to the Mann-Whitney statistic). Sums of counts are exact in f64.
double DrawnMetric::auc(std::span<const std::uint32_t> counts) const {
  double positives = 0, negatives = 0, pairs = 0, positives_here = 0, all_here = 0;
  for (const Row& row : rows_) {
    const double weight = row.weight * counts[row.entity];
    positives_here += weight * row.value;
    all_here += weight;
    if (!row.last) continue;
    const double negatives_here = all_here - positives_here;
    pairs += positives_here * (negatives + 0.5 * negatives_here);
    positives += positives_here;
    negatives += negatives_here;
    positives_here = all_here = 0;
  }
  return positives > 0 && negatives > 0 ? pairs / positives / negatives : kNaN;
}

double DrawnMetric::mean(std::span<const std::uint32_t> counts) const {
  double sum = 0, weights = 0;
  for (const Row& row : rows_) {
    if (counts[row.entity] == 0) continue;  // an infinite loss that was not drawn counts nothing
    const double weight = row.weight * counts[row.entity];
    sum += weight * row.value;
    weights += weight;
  }
  return weights > 0 ? sum / weights : kNaN;
}

}  // namespace chorale
