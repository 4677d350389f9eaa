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

/// Small sums that were issued together go by one announcement, at most so many.
inline constexpr std::uint32_t kMostFused = 16;

/// The first line is all that a barrier reads; its fields are doubled by the parity of the announcement, because a rank may
/// make the next one while a peer still reads this one.
struct Slot {
  alignas(128) std::atomic<std::uint64_t> arrived;  // phases this rank has entered
  std::uint64_t signature[2];
  Place place[2];
  std::uint32_t fused[2];  // operations that this rank has come with
  alignas(64) Announcement announcement[2];
  std::uint64_t followers[2][kMostFused - 1];  // signatures of all but the first
  ProcessMark process;
  std::atomic<std::int32_t> awaited_node;  // node that a leader waits for, plus one
  std::atomic<std::uint32_t> touching;     // 1 while this rank reads or writes its peers' own buffers
};

}  // namespace chorale
