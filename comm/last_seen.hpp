// What can be said of a rank that is awaited: from its presence where its node is ours, else from who knows of other nodes.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include <chorale/comm/presence.hpp>

namespace chorale {

struct LastSeen {
  Sighting seen;
  double seconds_ago = 0;   // since its beat last changed, as far as was watched
  bool is_stopped = false;  // its process takes no part in anything (SIGSTOP)
  /// "last seen in forward of layer 'encoder.2', 61.0 s ago (step 17)".
  std::string text() const;
};

/// Of a rank of another node, in ranks of the whole world; empty when nothing is known. Called by the thread that waits, four times a
/// second at most: answers from memory, without waiting.
using AskFar = std::function<std::optional<LastSeen>(int root_rank)>;

}  // namespace chorale
