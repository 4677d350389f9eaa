#include <chorale/core/metrics/class_counts.hpp>

#include <cmath>
#include <limits>

#include <chorale/core/metrics/scored_row.hpp>

namespace chorale {

namespace {
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
}

ClassCounts::ClassCounts(std::int64_t outputs, ClassAverage average)
    : outputs_(outputs), average_(average), classes_(static_cast<std::size_t>(outputs == 1 ? 2 : outputs)) {}

void ClassCounts::update(const Scored& chunk) {
  check_scored(chunk, outputs_);
  for (std::int64_t row = 0; row < chunk.rows; ++row) {
    const double weight = weight_of(chunk, row);
    if (weight == 0) continue;
    const std::int64_t target = target_class(chunk, row, static_cast<std::int64_t>(classes_.size())), given = predicted_class(chunk, row);
    if (given < 0) {
      undefined_.add(weight);
      continue;
    }
    classes_[static_cast<std::size_t>(target)].actual.add(weight);
    classes_[static_cast<std::size_t>(given)].predicted.add(weight);
    if (target == given) classes_[static_cast<std::size_t>(target)].hits.add(weight);
  }
}

std::vector<std::byte> ClassCounts::state() const {
  StateWriter out;
  undefined_.write(out);
  for (const Counts& c : classes_) c.hits.write(out), c.predicted.write(out), c.actual.write(out);
  return out.take();
}

void ClassCounts::merge(std::span<const std::byte> state) {
  StateReader in(state);
  undefined_.merge(in);
  for (Counts& c : classes_) c.hits.merge(in), c.predicted.merge(in), c.actual.merge(in);
  in.finish();
}

double ClassCounts::score_of(const Counts& c) const { return score(c.hits.value(), c.predicted.value(), c.actual.value()); }

double ClassCounts::micro() const {
  Expansion hits, predicted, actual;
  for (const Counts& c : classes_) hits.add(c.hits.value()), predicted.add(c.predicted.value()), actual.add(c.actual.value());
  return score(hits.value(), predicted.value(), actual.value());
}

double ClassCounts::value() const {
  if (undefined_.value() != 0) return kUndefined;
  if (average_ == ClassAverage::usual && outputs_ == 1) return score_of(classes_[1]);
  if (average_ == ClassAverage::micro) return micro();
  double sum = 0, weights = 0;
  for (const Counts& c : classes_) {
    const double actual = c.actual.value();
    if (c.predicted.value() == 0 && actual == 0) continue;
    const double one = score_of(c), weight = average_ == ClassAverage::weighted ? actual : 1;
    sum += std::isnan(one) ? 0 : weight * one;
    weights += weight;
  }
  return weights == 0 ? kUndefined : sum / weights;
}

}  // namespace chorale
