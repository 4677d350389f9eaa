// Is one arm of a study better than another? Intervals from a paired bootstrap over seeds and test entities, and what follows from several.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <chorale/launcher/collab/study_result.hpp>

namespace chorale {

/// One arm's results of one task, by seed; the same seeds in the same order for every arm.
using ArmRuns = std::vector<const TaskScores*>;

struct BootstrapOptions {
  std::int64_t draws = 2000;
  std::uint64_t seed = 1;
};

/// [arms][draws]: the mean of the arm's metric over the drawn seeds, NaN where a draw leaves it undefined (AUC of one class).
/// Each draw takes as many seeds as there are, with replacement, and as many test entities; all arms see the same draw, and all rows of an
/// entity go together. Seeds share the draw of entities: seeds that are scored on one test set share its luck too, and independent draws
/// would average it away. Throws InternalError where arms of a seed were scored on different rows; UsageError for a metric that cannot be
/// drawn. O(draws * arms * seeds * rows).
/// Source: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007: slightly wide, never narrow.
std::vector<std::vector<double>> bootstrap_means(std::span<const ArmRuns> arms, const BootstrapOptions& options = {});

/// A minus B. low and high: 95 % percentile interval. p: two-sided, (1 + draws beyond 0) / (1 + draws), twice the smaller side, at most 1.
/// Interval and p are NaN where more than a tenth of the draws is undefined.
struct Difference {
  double mean = 0, low = 0, high = 0, p = 1;
  bool operator==(const Difference&) const = default;
};

/// a_value, b_value: by seed, as reported. a_draws, b_draws: of bootstrap_means.
Difference difference(std::span<const double> a_value, std::span<const double> b_value, std::span<const double> a_draws,
                      std::span<const double> b_draws);
/// The same seen from the other side, for metrics of which less is better.
Difference negated(const Difference& d);

/// p values corrected for having asked several questions, in the order given; NaN counts as 1. Source: Holm, Scand. J. Stat. 1979.
std::vector<double> holm(std::span<const double> p);

/// (collab - matched) / (pooled - matched): 1 where sharing does as much as putting all raw columns together. Nothing where the interval of
/// pooled against matched does not lie on its better side of 0: there is no gap, and the ratio would be noise over noise.
/// pooled_gain: pooled minus matched, above 0 where pooled is better.
std::optional<double> closed_gap(double collab_gain, const Difference& pooled_gain);

}  // namespace chorale
