// The one tree in which sums run over ranks: [0, n) is split at the largest power of two below n, again and again.
// Any contiguous range of ranks contributes its maximal complete subtrees, so bits do not depend on the layout of nodes.
#pragma once
#include <vector>

namespace chorale {

/// Ranks [first, last).
struct RankRange {
  int first = 0, last = 0;
  int size() const { return last - first; }
  bool operator==(const RankRange&) const = default;
};

/// Where the tree splits a range of at least two ranks.
int split_point(RankRange range);

/// The maximal complete subtrees of the tree over [0, n) that lie inside `part`, in rank order.
std::vector<RankRange> complete_subtrees(int n, RankRange part);

}  // namespace chorale
