// What a communicator and its node() have in common, and others of the rank do not: two tasks may have different deadlines, and each
// counts its own bytes.
#pragma once
#include <cstdint>
#include <string>

namespace chorale {

struct Terms {
  std::string name;                      // "returns/"; before every label; empty: the whole world
  std::int64_t timeout_ms = 60000;       // of a wait for a rank that nothing is heard of
  std::int64_t step_timeout_ms = 60000;  // the same, at most, where it is in a part of a step
  std::uint64_t bytes_sent = 0;
};

}  // namespace chorale
