// Copies between a rank's own memory and what its peers share. Pure functions, any thread.
#pragma once
#include <cstddef>

namespace chorale {

/// For what will be read here.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes);

/// For what a peer will read: past the caches when it is long. A line that a peer has read last is slow to write again (2 GB/s between
/// distant cores, 14 near ones), where a store that leaves the cache needs nobody's leave (27 GB/s). Ordered before the next release.
/// `to` is best aligned to 64 bytes.
void copy_out(std::byte* to, const std::byte* from, std::size_t bytes);

}  // namespace chorale
