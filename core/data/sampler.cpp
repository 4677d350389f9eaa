#include <chorale/core/data/sampler.hpp>

#include <numeric>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {

Sampler::Sampler(const Options& options) : options_(options) {
  if (options.batch < 1) throw UsageError("batch must be at least 1, got " + std::to_string(options.batch));
  order_.resize(static_cast<std::size_t>(options.rows));
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
}

std::span<const std::int64_t> Sampler::rows(std::int64_t epoch, std::int64_t step) {
  if (epoch != epoch_ && options_.shuffle) {
    // From the identity each time: the order of an epoch does not depend on which epochs were asked for before.
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    RandomStream random(mix(mix(options_.seed, 0x73616D706C6572u), static_cast<std::uint64_t>(epoch)));
    for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  }
  epoch_ = epoch;
  const std::size_t first = static_cast<std::size_t>(step * options_.batch);
  return std::span<const std::int64_t>(order_).subspan(first, std::min(order_.size() - first, static_cast<std::size_t>(options_.batch)));
}

}  // namespace chorale
