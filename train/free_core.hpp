// Is there a core beyond those that compute? Only then does a communication thread take nobody's.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// Where a rank may run, and how many threads of it compute.
struct Seat {
  std::string machine;
  std::set<std::string> cores;  // physical, of its affinity mask
  std::int64_t threads = 1;
};

/// Could every rank put its computing threads and one more each on a core of its own? Looks at each mask and at all cores of a machine,
/// which is exact where masks are equal, disjoint or nested.
bool has_free_core_each(const std::vector<Seat>& seats);

/// The same for the ranks of a communicator, `threads` computing ones in each. Collective; equal on all ranks.
bool has_free_core_each(Communicator& comm, std::int64_t threads);

}  // namespace chorale
