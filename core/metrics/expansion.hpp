// An exact sum of doubles that takes a few numbers of memory, so that a metric can hold one for each class or cell.
// Adding in any order and any grouping gives the same value: scores depend on rows alone.
// Source: Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric predicates", 1997 (grow-expansion).
#pragma once
#include <vector>

#include <chorale/core/metrics/state_bytes.hpp>

namespace chorale {

/// A sum kept as parts that do not overlap, smallest first. NaN and infinities are kept apart and win. One thread.
class Expansion {
 public:
  void add(double value);
  /// Adds a * b without rounding.
  void add_product(double a, double b);
  void add(const Expansion& other);
  /// Adds factor * other without rounding.
  void add_product(const Expansion& other, double factor);
  /// The exact sum, rounded once to the nearest double.
  double value() const;
  void write(StateWriter& out) const;
  /// Adds what write() wrote.
  void merge(StateReader& in);

 private:
  std::vector<double> parts_;
  double special_ = 0;
};

}  // namespace chorale
