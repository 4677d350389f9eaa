// Repeated measurements of one thing: least, middle, nearly worst and worst. A value.
#pragma once
#include <string>
#include <vector>

namespace chorale {

struct Spread {
  double min = 0, median = 0, p95 = 0, max = 0;  // in the unit of the samples
  bool empty = true;
};

/// The median of an even number is the mean of the middle two. Empty where there is no sample.
Spread spread_of(std::vector<double> samples);
/// {"min": 1.5, "median": 2, "p95": 3.25}
std::string json(const Spread& spread);

}  // namespace chorale
