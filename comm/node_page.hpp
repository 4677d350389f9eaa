// The memory through which the ranks of one node run their collectives: a slot for each rank, two staging areas for each
// rank, two boards for results, partial sums and rings for messages. Zeroed bytes are a valid page.
// Every rank has its own NodePage object over the same memory.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <chorale/comm/abort_board.hpp>
#include <chorale/comm/announcement.hpp>
#include <chorale/comm/ring.hpp>
#include <chorale/comm/shared_regions.hpp>

namespace chorale {

/// Where a rank's data of the present collective can be read by its peers; segment 0: nowhere.
struct Place {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
};

/// One rank's word to its node. The first line is all that a barrier reads; its fields are doubled by the parity of the
/// collective, because a rank may announce the next one while a peer still reads this one.
struct Slot {
  alignas(128) std::atomic<std::uint64_t> arrived;  // phases this rank has entered
  std::uint64_t signature[2];
  Place place[2];
  alignas(64) Announcement announcement[2];
  ProcessMark process;
  std::atomic<std::int32_t> awaited_node;  // node that a leader waits for, plus one
  std::atomic<std::uint32_t> touching;     // 1 while this rank reads or writes its peers' own buffers
};

class NodePage {
 public:
  static constexpr std::size_t kStageBytes = 512 * 1024;
  static constexpr std::size_t kBoardBytes = kStageBytes;

  /// partials: subtrees that this node contributes to sums; 0 when there is one node.
  static std::size_t bytes(int ranks, int partials);
  NodePage(std::shared_ptr<std::byte> memory, int ranks, int partials);

  Slot& slot(int local) const { return slots_[local]; }
  std::byte* stage(int local, std::uint64_t use) const { return stages_ + (static_cast<std::size_t>(local) * 2 + use % 2) * kStageBytes; }
  std::byte* board(std::uint64_t use) const { return boards_ + (use % 2) * kBoardBytes; }
  /// Accumulators may be twice as wide as elements.
  std::byte* partial(int subtree) const { return partials_ + static_cast<std::size_t>(subtree) * 2 * kBoardBytes; }
  Ring& ring(int from, int to) const { return rings_[from * ranks_ + to]; }
  AbortBoard& own_abort_board() const { return *abort_; }

 private:
  std::shared_ptr<std::byte> memory_;
  int ranks_;
  AbortBoard* abort_;
  Slot* slots_;
  std::byte *stages_, *boards_, *partials_;
  Ring* rings_;
};

}  // namespace chorale
