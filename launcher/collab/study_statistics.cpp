#include <chorale/launcher/collab/study_statistics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/study_metric.hpp>

namespace chorale {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t kPurpose = 0x7374756479;  // "study"

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void check_pairs(std::span<const ArmRuns> arms) {
  for (const ArmRuns& arm : arms) {
    if (arm.size() != arms[0].size())
      throw InternalError("[collab study] arms have " + std::to_string(arms[0].size()) + " and " + std::to_string(arm.size()) +
                          " seeds; only pairs can be compared");
    for (std::size_t s = 0; s < arm.size(); ++s) {
      const TaskScores &here = *arm[s], &first = *arms[0][s];
      if (here.entity != first.entity || here.target != first.target || here.weight != first.weight || here.metric != first.metric)
        throw InternalError("[collab study] task " + here.task + ": two arms of one seed were scored on different test rows (" +
                            std::to_string(first.entity.size()) + " and " + std::to_string(here.entity.size()) +
                            ") or by different metrics; only pairs can be compared");
    }
  }
}

/// All entities of all seeds, ascending.
std::vector<std::uint64_t> entities_of(const ArmRuns& runs) {
  std::vector<std::uint64_t> all;
  for (const TaskScores* run : runs) all.insert(all.end(), run->entity.begin(), run->entity.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<std::uint32_t> places(const std::vector<std::uint64_t>& entity, const std::vector<std::uint64_t>& all) {
  std::vector<std::uint32_t> out;
  out.reserve(entity.size());
  for (const std::uint64_t id : entity)
    out.push_back(static_cast<std::uint32_t>(std::lower_bound(all.begin(), all.end(), id) - all.begin()));
  return out;
}

/// How often each of counts.size() things comes in as many draws.
void draw(RandomStream& random, std::vector<std::uint32_t>& counts) {
  std::fill(counts.begin(), counts.end(), 0);
  for (std::size_t i = 0; i < counts.size(); ++i) ++counts[random.below(counts.size())];
}

/// Linear between order statistics, as numpy's default. Source: Hyndman & Fan, The American Statistician 1996, type 7.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<std::vector<double>> bootstrap_means(std::span<const ArmRuns> arms, const BootstrapOptions& options) {
  if (arms.empty() || arms[0].empty()) return std::vector<std::vector<double>>(arms.size());
  check_pairs(arms);
  const std::size_t seeds = arms[0].size();
  const std::vector<std::uint64_t> all = entities_of(arms[0]);
  std::vector<std::vector<DrawnMetric>> metrics(arms.size());
  for (std::size_t s = 0; s < seeds; ++s) {
    const std::vector<std::uint32_t> entity = places(arms[0][s]->entity, all);
    for (std::size_t a = 0; a < arms.size(); ++a) metrics[a].emplace_back(*arms[a][s], entity);
  }
  RandomStream random(mix(options.seed, kPurpose));
  std::vector<std::uint32_t> entity_counts(all.size()), seed_counts(seeds);
  std::vector<std::vector<double>> means(arms.size());
  for (std::int64_t i = 0; i < options.draws; ++i) {
    draw(random, seed_counts);
    draw(random, entity_counts);
    for (std::size_t a = 0; a < arms.size(); ++a) {
      double sum = 0;
      for (std::size_t s = 0; s < seeds; ++s)
        if (seed_counts[s] > 0) sum += seed_counts[s] * metrics[a][s].value(entity_counts);
      means[a].push_back(sum / static_cast<double>(seeds));
    }
  }
  return means;
}

Difference difference(std::span<const double> a_value, std::span<const double> b_value, std::span<const double> a_draws,
                      std::span<const double> b_draws) {
  if (a_value.size() != b_value.size() || a_draws.size() != b_draws.size())
    throw InternalError("[collab study] a difference of " + std::to_string(a_value.size()) + " and " + std::to_string(b_value.size()) +
                        " seeds; only pairs can be compared");
  Difference out{.mean = mean_of(a_value) - mean_of(b_value), .low = kNaN, .high = kNaN, .p = kNaN};
  std::vector<double> draws;
  for (std::size_t i = 0; i < a_draws.size(); ++i)
    if (const double d = a_draws[i] - b_draws[i]; !std::isnan(d)) draws.push_back(d);
  if (draws.empty() || 10 * draws.size() < 9 * a_draws.size()) return out;
  std::sort(draws.begin(), draws.end());
  out.low = quantile(draws, 0.025);
  out.high = quantile(draws, 0.975);
  const auto not_above = std::upper_bound(draws.begin(), draws.end(), 0.0) - draws.begin();
  const auto not_below = draws.end() - std::lower_bound(draws.begin(), draws.end(), 0.0);
  out.p = std::min(1.0, 2.0 * static_cast<double>(1 + std::min(not_above, not_below)) / static_cast<double>(draws.size() + 1));
  return out;
}

Difference negated(const Difference& d) { return {.mean = -d.mean, .low = -d.high, .high = -d.low, .p = d.p}; }

std::vector<double> holm(std::span<const double> p) {
  std::vector<double> known, out(p.size());
  for (const double value : p) known.push_back(std::isnan(value) ? 1 : value);
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return known[a] < known[b]; });
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - i) * known[order[i]]));
    out[order[i]] = largest;
  }
  return out;
}

std::optional<double> closed_gap(double collab_gain, const Difference& pooled_gain) {
  // Equal arms may differ by a rounding, and its interval excludes 0 as well.
  constexpr double kRounding = 1e-9;
  if (!(pooled_gain.low > 0) || !(pooled_gain.mean > kRounding) || !std::isfinite(collab_gain)) return std::nullopt;
  return collab_gain / pooled_gain.mean;
}

}  // namespace chorale
