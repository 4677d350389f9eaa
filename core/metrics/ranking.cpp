#include <chorale/core/metrics/ranking.hpp>

#include <cmath>
#include <limits>

#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

void Ranking::update(const Scored& chunk) {
  const auto outputs = static_cast<std::int64_t>(classes_.size());
  check_scored(chunk, outputs);
  for (std::int64_t row = 0; row < chunk.rows; ++row) {
    const double weight = weight_of(chunk, row);
    if (weight == 0) continue;
    const std::int64_t target = target_class(chunk, row, outputs == 1 ? 2 : outputs);
    for (std::int64_t c = 0; c < outputs; ++c)
      classes_[static_cast<std::size_t>(c)].add(chunk.prediction[static_cast<std::size_t>(row * outputs + c)],
                                                outputs == 1 ? target == 1 : target == c, weight);
  }
}

std::vector<std::byte> Ranking::state() const {
  StateWriter out;
  for (const SortedRuns& runs : classes_) runs.write(out);
  return out.take();
}

void Ranking::merge(std::span<const std::byte> state) {
  StateReader in(state);
  for (SortedRuns& runs : classes_) runs.merge(in);
  in.finish();
}

double Ranking::value() const {
  double sum = 0;
  int defined = 0;
  for (const SortedRuns& runs : classes_) {
    if (runs.is_undefined()) return std::numeric_limits<double>::quiet_NaN();
    const double one = score(runs.runs());
    if (std::isnan(one)) continue;
    sum += one;
    ++defined;
  }
  return defined == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / defined;
}

}  // namespace chorale
