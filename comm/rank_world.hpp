// What one rank's communicators have in common: the root and all that were split from it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/abort_board.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/comm/shared_regions.hpp>
#include <chorale/comm/transport.hpp>
#include <chorale/comm/last_seen.hpp>

namespace chorale {

/// One rank's place in memory that its node maps. Zeroed bytes are valid.
struct NodePresence {
  alignas(128) Presence presence;
  ProcessMark process;
};

/// Of all ranks of this node, by rank of the whole world.
struct NodePresences {
  int first = 0, count = 0;
  NodePresence* all = nullptr;
};

struct RankWorld {
  std::shared_ptr<void> session;  // first, so that it ends last: what must outlive all communicators of the rank
  std::string backend;
  std::shared_ptr<SharedRegions> regions;
  std::shared_ptr<Transport> transport;  // null: one node
  std::shared_ptr<AbortBoard> abort;
  ProcessMark process;   // id 0 when peers live and die with this process
  bool crowded = false;  // more ranks on this node than cores
  int rank = 0;          // in the whole world
  RankWatch watch;
  std::shared_ptr<std::byte> root_page;  // holds the presences
  NodePresences presences;
  std::vector<std::string> node_names;  // by rank; empty: one node
  AskFar ask_far;                       // empty: nothing is known of other nodes
  int next_id = 1;                      // of communicators split from the root
  bool wire_closed = false;             // after a failure nothing may progress transfers into memory that is no longer ours
};

}  // namespace chorale
