// Which rows the global batch of a step holds: a pure function of (seed, epoch, step), never of the ranks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace chorale {

/// Samples [first, first + count) of a batch.
struct Share {
  std::int64_t first = 0, count = 0;
};

/// Share of virtual worker v of V in n samples: [v n / V, (v + 1) n / V). Shares may be empty.
constexpr Share share_of(std::int64_t n, std::int64_t v, std::int64_t V) { return {v * n / V, (v + 1) * n / V - v * n / V}; }

/// One thread. Holds one epoch's permutation (8 bytes a row).
class Sampler {
 public:
  struct Options {
    std::int64_t rows = 0, batch = 1;
    std::uint64_t seed = 1;
    bool shuffle = true;
  };
  explicit Sampler(const Options& options);
  std::int64_t steps_per_epoch() const { return (options_.rows + options_.batch - 1) / options_.batch; }
  /// Rows of step `step` in [0, steps_per_epoch()) of an epoch, in the order of the global batch; the last may be shorter. Valid until
  /// another epoch is asked for.
  std::span<const std::int64_t> rows(std::int64_t epoch, std::int64_t step);

 private:
  Options options_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

}  // namespace chorale
