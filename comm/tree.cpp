#include <chorale/comm/tree.hpp>

namespace chorale {
namespace {

void collect(RankRange node, RankRange part, std::vector<RankRange>& out) {
  if (node.last <= part.first || node.first >= part.last || node.size() == 0) return;
  if (node.first >= part.first && node.last <= part.last) {
    out.push_back(node);
    return;
  }
  const int middle = split_point(node);
  collect({node.first, middle}, part, out);
  collect({middle, node.last}, part, out);
}

}  // namespace

int split_point(RankRange range) {
  int half = 1;
  while (half * 2 < range.size()) half *= 2;
  return range.first + half;
}

std::vector<RankRange> complete_subtrees(int n, RankRange part) {
  std::vector<RankRange> out;
  collect({0, n}, part, out);
  return out;
}

}  // namespace chorale
