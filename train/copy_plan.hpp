// Which ranks of a node read which copy of the parameters, where these are not private: one copy for all, or one for each NUMA domain, so
// that a rank never reads parameters over the link between sockets. The optimiser's state lies once a node either way.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/numa_place.hpp>

namespace chorale {

/// A value, equal on all ranks of the node.
struct CopyPlan {
  std::vector<int> copy_of;  // by local rank; copies count from 0 in the order of ranks
  int copies = 1;
  std::string text;  // what was chosen and why

  /// The ranks of one copy: how many, and the place of `local` among them.
  int ranks_beside(int local) const;
  int place_of(int local) const;
  /// Local rank of the first of a copy's ranks.
  int first_of(int copy) const;
};

/// wish: of parallel.copies. places: by local rank. bytes: of the parameters.
/// auto takes a copy a domain where the ranks are bound to more than one and the parameters exceed the last-level cache: what fits there is
/// read over the link once a step anyway, and a copy costs a meeting more.
CopyPlan plan_copies(const std::string& wish, std::span<const NumaPlace> places, std::int64_t bytes);

/// The same with the places of this node's ranks. Collective over the node. domain_of: in place of asking the system, by local rank.
CopyPlan plan_copies(Communicator& node, const std::string& wish, std::int64_t bytes, const std::function<int(int local)>& domain_of);

}  // namespace chorale
