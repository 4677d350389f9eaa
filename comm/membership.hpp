// Who belongs to a communicator and which of them share memory. A value.
#pragma once
#include <vector>

#include <chorale/comm/tree.hpp>

namespace chorale {

struct Membership {
  std::vector<int> root_ranks;   // by rank: the rank in the communicator that all others were split from
  std::vector<RankRange> nodes;  // by node: its ranks, contiguous
  int rank = 0;

  int size() const { return static_cast<int>(root_ranks.size()); }
  int node_of(int of_rank) const {
    int node = 0;
    while (nodes[static_cast<std::size_t>(node)].last <= of_rank) ++node;
    return node;
  }
  RankRange own_node() const { return nodes[static_cast<std::size_t>(node_of(rank))]; }
  int node_count() const { return static_cast<int>(nodes.size()); }
};

}  // namespace chorale
