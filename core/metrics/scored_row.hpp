// What metrics ask of one row of a chunk: its weight, its class, the class that the model gives it.
#pragma once
#include <cstdint>

#include <chorale/core/metrics/metric.hpp>

namespace chorale {

/// Throws ShapeError unless the spans of a chunk have the lengths that its rows and outputs say.
void check_scored(const Scored& chunk, std::int64_t outputs);

/// 1 where the chunk has no weights. A row of weight 0 (padding) counts nowhere, whatever else it holds.
inline double weight_of(const Scored& chunk, std::int64_t row) {
  return chunk.weight.empty() ? 1.0 : chunk.weight[static_cast<std::size_t>(row)];
}

/// The target as a class id in [0, classes). Throws DataError with the row of the chunk for anything else.
std::int64_t target_class(const Scored& chunk, std::int64_t row, std::int64_t classes);

/// The class a row is given: with one output 1 above 0.5, else the first of the largest. -1 when an output is NaN.
std::int64_t predicted_class(const Scored& chunk, std::int64_t row);

}  // namespace chorale
