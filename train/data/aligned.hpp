// Places of arrays in shared memory.
#pragma once
#include <cstdint>

namespace chorale {

/// Rounded up to whole cache lines of 64 bytes.
constexpr std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace chorale
