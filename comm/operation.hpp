// One verb under way: its coroutine, what it announced and what it waits for.
#pragma once
#include <cstddef>
#include <exception>

#include <chorale/comm/announcement.hpp>
#include <chorale/comm/task.hpp>

namespace chorale {

struct Operation {
  enum class Awaits : std::uint8_t { nothing, node_peers, other_node, peer };

  Announcement announcement;
  int lane = 0;  // operations of one lane run one after the other; 0: collectives
  Task task;
  bool finished = false;
  std::exception_ptr error;

  std::uint64_t turn = 0;           // which announcement of its rank it is: several operations may go by one
  std::byte* small_data = nullptr;  // of an all_reduce that may travel with others (fused_flow.cpp)
  bool carried = false;             // it has, with one before it

  Awaits awaits = Awaits::nothing;
  std::uint64_t phase = 0;   // of the node, when peers are awaited
  int awaited = 0;           // node or rank
  std::uint64_t ticket = 0;  // in the flight record
  bool said_hello = false;   // its envelope has gone to the other nodes
};

}  // namespace chorale
