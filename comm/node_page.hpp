// The memory through which the ranks of one node run their collectives: a slot for each rank, two staging areas for each
// rank, two boards for results, partial sums, rings for messages and a bell. Zeroed bytes are a valid page.
// Every rank has its own NodePage object over the same memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include <chorale/comm/abort_board.hpp>
#include <chorale/comm/rank_world.hpp>
#include <chorale/comm/rendezvous.hpp>
#include <chorale/comm/ring.hpp>
#include <chorale/comm/slot.hpp>

namespace chorale {

class NodePage {
 public:
  static constexpr std::size_t kStageBytes = 512 * 1024;
  static constexpr std::size_t kBoardBytes = kStageBytes;

  /// partials: subtrees that this node contributes to sums; 0 when there is one node.
  static std::size_t bytes(int ranks, int partials);
  NodePage(std::shared_ptr<std::byte> memory, int ranks, int partials);

  Slot& slot(int local) const { return slots_[local]; }
  /// By local rank. Used in the page of the whole world only.
  NodePresence* presences() const { return presences_; }
  Rendezvous meeting() const { return {slots_, ranks_, bell_}; }
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
  Bell* bell_;
  Slot* slots_;
  NodePresence* presences_;
  std::byte *stages_, *boards_, *partials_;
  Ring* rings_;
};

}  // namespace chorale
