#include <chorale/launcher/token_sampler.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <chorale/core/base/error.hpp>

namespace chorale {

std::int64_t draw_token(std::span<const double> logits, const SamplingOptions& options, RandomStream& random) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (static_cast<std::int64_t>(i) != options.excluded && std::isfinite(logits[i])) order.push_back(i);
  if (order.empty()) throw NumericError("[generate] the model's results are not finite; take an earlier checkpoint");
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (options.temperature == 0) return static_cast<std::int64_t>(order[0]);
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < order.size()) order.resize(static_cast<std::size_t>(options.top_k));
  std::vector<double> sums;
  double sum = 0;
  for (const std::size_t i : order) sums.push_back(sum += std::exp((logits[i] - logits[order[0]]) / options.temperature));
  const double at = random.uniform() * sum;
  const auto drawn = std::upper_bound(sums.begin(), sums.end() - 1, at) - sums.begin();
  return static_cast<std::int64_t>(order[static_cast<std::size_t>(drawn)]);
}

}  // namespace chorale
