// One sum of each type over all ranks, beside the right answer.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct SumFacts {
  int rank = 0;
  std::string host = {};
  std::int64_t elements = 0;                        // most of one sum
  std::vector<std::string> right = {}, wrong = {};  // types; a wrong one with its size, "f32 of 4099 elements"
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SumFacts, rank, host, elements, right, wrong)

Finding judge_sums(const std::vector<SumFacts>& ranks);

}  // namespace chorale
