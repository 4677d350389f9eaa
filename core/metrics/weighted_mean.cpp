#include <chorale/core/metrics/weighted_mean.hpp>

#include <limits>

#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

void WeightedMean::update(const Scored& chunk) {
  check_scored(chunk, outputs_);
  for (std::int64_t row = 0; row < chunk.rows; ++row)
    if (const double weight = weight_of(chunk, row); weight != 0) add(weight * term(chunk, row), weight * unit(chunk, row));
}

void WeightedMean::add(double weighted_term, double weight) {
  sum_.add(weighted_term);
  weight_.add(weight);
}

std::vector<std::byte> WeightedMean::state() const {
  StateWriter out;
  sum_.write(out);
  weight_.write(out);
  return out.take();
}

void WeightedMean::merge(std::span<const std::byte> state) {
  StateReader in(state);
  sum_.merge(in);
  weight_.merge(in);
  in.finish();
}

double WeightedMean::value() const {
  const double weight = weight_.value();
  return weight == 0 ? std::numeric_limits<double>::quiet_NaN() : sum_.value() / weight;
}

}  // namespace chorale
