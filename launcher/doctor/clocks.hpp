// How far the hosts' clocks are apart, by asking for the time and taking the quickest answer.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct ClockFacts {
  int rank = 0;
  std::string host = {};
  double ahead_s = 0;   // of rank 0's clock
  double within_s = 0;  // of the truth
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ClockFacts, rank, host, ahead_s, within_s)

Finding judge_clocks(const std::vector<ClockFacts>& ranks);

}  // namespace chorale
