#include <chorale/core/metrics/scored_row.hpp>

#include <cmath>

namespace chorale {

void check_scored(const Scored& chunk, std::int64_t outputs) {
  const auto rows = static_cast<std::size_t>(chunk.rows);
  const auto expect = [](const char* what, std::size_t expected, std::size_t got) {
    if (got != expected)
      throw ShapeError(std::string("[metrics] expected ") + std::to_string(expected) + " " + what + ", got " + std::to_string(got));
  };
  expect("outputs a row", static_cast<std::size_t>(outputs), static_cast<std::size_t>(chunk.outputs));
  expect("predictions", rows * static_cast<std::size_t>(outputs), chunk.prediction.size());
  expect("targets", rows, chunk.target.size());
  if (!chunk.weight.empty()) expect("weights", rows, chunk.weight.size());
}

std::int64_t target_class(const Scored& chunk, std::int64_t row, std::int64_t classes) {
  const double target = chunk.target[static_cast<std::size_t>(row)];
  if (!(target >= 0 && target < static_cast<double>(classes)) || target != std::floor(target))
    throw DataError("[metrics] target " + std::to_string(target) + " in row " + std::to_string(row) +
                    " of a chunk is no class id from 0 to " + std::to_string(classes - 1));
  return static_cast<std::int64_t>(target);
}

std::int64_t predicted_class(const Scored& chunk, std::int64_t row) {
  const auto outputs = static_cast<std::size_t>(chunk.outputs);
  const auto values = chunk.prediction.subspan(static_cast<std::size_t>(row) * outputs, outputs);
  if (outputs == 1) return std::isnan(values[0]) ? -1 : values[0] > 0.5;
  std::size_t best = 0;
  for (std::size_t c = 0; c < outputs; ++c) {
    if (std::isnan(values[c])) return -1;
    if (values[c] > values[best]) best = c;
  }
  return static_cast<std::int64_t>(best);
}

}  // namespace chorale
