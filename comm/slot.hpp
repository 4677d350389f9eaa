// One rank's word to its node, in shared memory. Zeroed bytes are valid.
#pragma once
#include <atomic>
#include <cstdint>

#include <chorale/comm/announcement.hpp>
#include <chorale/comm/shared_regions.hpp>

namespace chorale {

/// Where a rank's data of the present collective can be read by its peers; segment 0: nowhere.
struct Place {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
};

/// The first line is all that a barrier reads; its fields are doubled by the parity of the collective, because a rank may
/// announce the next one while a peer still reads this one.
struct Slot {
  alignas(128) std::atomic<std::uint64_t> arrived;  // phases this rank has entered
  std::uint64_t signature[2];
  Place place[2];
  alignas(64) Announcement announcement[2];
  ProcessMark process;
  std::atomic<std::int32_t> awaited_node;  // node that a leader waits for, plus one
  std::atomic<std::uint32_t> touching;     // 1 while this rank reads or writes its peers' own buffers
};

}  // namespace chorale
