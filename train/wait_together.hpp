// Long work of some ranks, awaited by all: a disk, a lock. One collective that lasts as long would meet its deadline.
#pragma once
#include <chrono>
#include <functional>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// Collective. Until no rank works any more. `works(limit)` waits at most `limit` for this rank's own work and says whether it goes on.
/// Each asking is a small all-reduce, at most every 50 ms.
void wait_together(Communicator& comm, const std::function<bool(std::chrono::milliseconds limit)>& works, Label label);

}  // namespace chorale
