// What each rank's processor does at best: f32 matrix products and copies of memory, alone and with all ranks of the host at once.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct PeakFacts {
  int rank = 0;
  std::string host = {};
  double gflops_alone = 0, gflops_together = 0;  // of 10^9 a second
  double gbs_alone = 0, gbs_together = 0;        // bytes read and written
  double memory_gib = 0, available_gib = 0;      // of the host
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PeakFacts, rank, host, gflops_alone, gflops_together, gbs_alone, gbs_together, memory_gib, available_gib)

/// matrix_product, memory. A rank is slow against the median of all.
std::vector<Finding> judge_peaks(const std::vector<PeakFacts>& ranks);

}  // namespace chorale
