// Gives memory back to the system.
#pragma once
#include <chorale/core/base/buffer.hpp>

namespace chorale {

/// Frees the whole pages inside a part of what Communicator::allocate has given out, for all ranks of the node; they read as 0 afterwards
/// and take memory again when written. No rank may use the part meanwhile.
void discard(Buffer part) noexcept;

}  // namespace chorale
