// Repeated times of one thing: least, middle and nearly worst. A value.
#pragma once
#include <string>
#include <vector>

namespace chorale {

struct Spread {
  double min = 0, median = 0, p95 = 0;  // in the unit of the samples
  bool empty = true;
};

/// Of at least one sample. The median of an even number is the lower one.
Spread spread_of(std::vector<double> samples);
/// {"min": 1.5, "median": 2, "p95": 3.25}
std::string json(const Spread& spread);

}  // namespace chorale
