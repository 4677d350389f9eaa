// One token drawn from logits.
#pragma once
#include <cstdint>
#include <span>

#include <chorale/core/base/random.hpp>

namespace chorale {

struct SamplingOptions {
  double temperature = 1;      // what logits are divided by; 0: the greatest is taken
  std::int64_t top_k = 0;      // only so many of the greatest may be drawn; 0: all
  std::int64_t excluded = -1;  // never drawn
};

/// The place of the drawn logit; of equal ones the first counts as the greater. Throws NumericError where none is finite.
std::int64_t draw_token(std::span<const double> logits, const SamplingOptions& options, RandomStream& random);

}  // namespace chorale
