// Work that each rank does alone on its share, ended together: where one rank fails, all fail with the same error, and none waits for ever.
#pragma once
#include <cstdint>
#include <functional>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// Collective. Runs `work` here, then learns how it went elsewhere. `work` keeps `position` at the place it is at (the piece of a file),
/// in rising order; of several errors the first by position, then by rank, is thrown on every rank, of its class and with its text.
/// A CommError passes through at once: the ranks cannot agree any more.
void together(Communicator& comm, Label label, const std::function<void(std::int64_t& position)>& work);

/// The same for work that may outlast the deadline of a wait, such as unpacking a large file: while it runs in a thread of its own,
/// which this call joins, the ranks tell each other about once a second that they are alive.
void together_slowly(Communicator& comm, Label label, const std::function<void(std::int64_t& position)>& work);

}  // namespace chorale
