// Which program each rank is, and what its processor can do.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct BuildFacts {
  int rank = 0;
  std::string host = {}, version = {}, build = {};
  int isa = 0;                                  // best_cpu_isa()
  std::string libraries = {};                   // of matrix products
  std::vector<std::string> mpi_libraries = {};  // files of libmpi and libpmix that are loaded
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BuildFacts, rank, host, version, build, isa, libraries, mpi_libraries)

/// builds, mpi_libraries, instruction_sets.
std::vector<Finding> judge_builds(const std::vector<BuildFacts>& ranks);

}  // namespace chorale
