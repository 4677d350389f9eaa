// Is there room for the ranks that are about to start here? Asked before the first of them: the libraries below do not take a refusal well.
// OpenBLAS tries for ever to get its 128 MiB a thread, mpirun without descriptors waits for ranks that it could not start, and one without
// threads leaves its user with "Resource temporarily unavailable".
#pragma once
#include <cstdint>

#include <chorale/launcher/ranks.hpp>

namespace chorale {

/// What ranks need beside their model and data.
struct Room {
  std::int64_t files = 0;          // descriptors of one process
  std::int64_t threads = 0;        // and processes, all together
  std::int64_t address_bytes = 0;  // of one process, beside what it has now
};

Room room_for(const RankPlan& plan);

/// Raises this process's limit on descriptors as far as it may, then tries what is needed and gives it back. Throws UsageError that says
/// what is needed and what the limit is.
void check_room(const RankPlan& plan);

}  // namespace chorale
