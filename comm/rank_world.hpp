// What one rank's communicators have in common: the root and all that were split from it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <chorale/comm/abort_board.hpp>
#include <chorale/comm/shared_regions.hpp>
#include <chorale/comm/transport.hpp>

namespace chorale {

struct RankWorld {
  std::shared_ptr<void> session;  // first, so that it ends last: what must outlive all communicators of the rank
  std::string backend;
  std::shared_ptr<SharedRegions> regions;
  std::shared_ptr<Transport> transport;  // null: one node
  std::shared_ptr<AbortBoard> abort;
  ProcessMark process;   // id 0 when peers live and die with this process
  bool crowded = false;  // more ranks on this node than cores
  std::int64_t timeout_ms = 60000;
  std::uint64_t bytes_sent = 0;
  int next_id = 1;           // of communicators split from the root
  bool wire_closed = false;  // after a failure nothing may progress transfers into memory that is no longer ours
};

}  // namespace chorale
