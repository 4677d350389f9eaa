#include <chorale/train/worker_tree.hpp>

#include <algorithm>
#include <bit>

namespace chorale {

namespace {
std::int64_t split_of(std::int64_t n) { return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n - 1))); }

void collect(Subtree node, Share held, std::vector<Subtree>& out) {
  const std::int64_t last = node.first + node.count, held_last = held.first + held.count;
  if (last <= held.first || node.first >= held_last) return;
  if (node.first >= held.first && last <= held_last) return out.push_back(node);
  collect(node.left(), held, out);
  collect(node.right(), held, out);
}
}  // namespace

Subtree Subtree::left() const { return {first, split_of(count)}; }
Subtree Subtree::right() const { return {first + split_of(count), count - split_of(count)}; }

std::vector<Subtree> maximal_subtrees(std::int64_t workers, Share held) {
  std::vector<Subtree> out;
  if (held.count > 0) collect({0, workers}, held, out);
  return out;
}

TreeSum::TreeSum(Subtree root, const std::vector<Subtree>& contributions) { compile(root, contributions, 1); }

void TreeSum::compile(Subtree node, const std::vector<Subtree>& contributions, std::int64_t level) {
  depth_ = std::max(depth_, level);
  const auto found = std::find(contributions.begin(), contributions.end(), node);
  if (found != contributions.end()) return program_.push_back(static_cast<std::int32_t>(found - contributions.begin()));
  compile(node.left(), contributions, level);
  compile(node.right(), contributions, level + 1);
  program_.push_back(-1);
}

}  // namespace chorale
