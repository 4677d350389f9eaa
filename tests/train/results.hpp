// What tests ask of the result of a run.
#pragma once
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <cmath>

inline void check_no_errors(const chorale::SmallRun::Result& result) {
  for (const std::string& error : result.errors) CHECK(error == "");
}

/// |a - b| / |a|.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), length += a[i] * a[i];
  return std::sqrt(difference / length);
}
