// all_reduce of few bytes. Whoever is first in the lane takes along what waits behind it: several are staged, announced, sent and
// summed as one. Ranks may have come with different numbers of them, so what all have in common goes, and the rest goes next.
// In the node everybody sums everything: one phase. Between nodes the leaders exchange their node's subtrees, one message a pair.
#include <algorithm>

#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/share.hpp>

namespace chorale {
namespace {

constexpr std::size_t kMostBytes = 1024;  // of one of them
constexpr std::size_t kLine = 64;

std::size_t bytes_of(const Operation& op) { return width(op.announcement.dtype, op.announcement.elements); }
/// From one sum to the next in a message: every type stays aligned.
std::size_t wide_room_of(const Operation& op) { return (width(accumulator(op.announcement.dtype), op.announcement.elements) + 7) / 8 * 8; }
/// From one to the next in a staging area or on a board.
std::size_t room_of(const Operation& op) { return (bytes_of(op) + kLine - 1) / kLine * kLine; }

}  // namespace

static_assert(kMostFused * kMostBytes + kLine <= NodePage::kBoardBytes);

bool NodeCommunicator::is_fusible(std::size_t bytes) { return bytes <= kMostBytes; }

Task NodeCommunicator::fused_flow(Operation& op) {
  if (op.carried) co_return;
  Fused fused;
  fused.of[0] = &op;
  fused.size += engine_.followers(op, std::span(fused.of).subspan(1));
  const std::uint64_t use = stage_use_++;
  stage_fused(fused, use);
  for (announce(op, {}, &fused); !is_here(op);) co_await kPause;
  check_node(op);
  fused.size = fused_in_node(op);
  if (node_count() == 1) {
    reduce_fused(fused, use);
  } else {
    std::byte* board = page_.board(board_use_++);
    if (local_ == 0) co_await exchange_fused(op, fused, use, board);
    for (enter(op); !is_here(op);) co_await kPause;
    fused.size = *reinterpret_cast<const std::uint32_t*>(board);
    std::size_t at = kLine;
    for (std::uint32_t i = 0; i < fused.size; at += room_of(*fused.of[i]), ++i)
      copy_bytes(fused.of[i]->small_data, board + at, bytes_of(*fused.of[i]));
  }
  for (std::uint32_t i = 0; i < fused.size; ++i) {
    fused.of[i]->carried = true;
    terms_->bytes_sent += bytes_of(*fused.of[i]);
  }
}

void NodeCommunicator::stage_fused(const Fused& fused, std::uint64_t use) {
  std::byte* to = page_.stage(local_, use);
  for (std::uint32_t i = 0; i < fused.size; to += room_of(*fused.of[i]), ++i)
    copy_bytes(to, fused.of[i]->small_data, bytes_of(*fused.of[i]));
}

void NodeCommunicator::reduce_fused(const Fused& fused, std::uint64_t use) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < fused.size; at += room_of(*fused.of[i]), ++i) {
    const Announcement& what = fused.of[i]->announcement;
    leaves_.clear();
    for (int local = 0; local < size(); ++local) leaves_.push_back({{local, local + 1}, page_.stage(local, use) + at});
    reduce_tree({what.dtype, what.op, {0, size()}}, leaves_, fused.of[i]->small_data, what.elements);
  }
}

std::size_t NodeCommunicator::sum_subtrees(const Fused& fused, std::uint64_t use) {
  std::byte* out = page_.partial(0);
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < fused.size; at += room_of(*fused.of[i]), ++i) {
    const Announcement& what = fused.of[i]->announcement;
    for (const RankRange& subtree : subtrees_[static_cast<std::size_t>(node_index())]) {
      leaves_.clear();
      for (int r = subtree.first; r < subtree.last; ++r) leaves_.push_back({{r, r + 1}, page_.stage(r - here_.first, use) + at});
      reduce_tree({what.dtype, what.op, subtree, true}, leaves_, out, what.elements);
      out += wide_room_of(*fused.of[i]);
    }
  }
  return static_cast<std::size_t>(out - page_.partial(0));
}

Task NodeCommunicator::exchange_fused(Operation& op, Fused& fused, std::uint64_t use, std::byte* board) {
  co_await agree_between_nodes(op, &fused);
  const std::size_t own_bytes = sum_subtrees(fused, use);
  std::size_t bytes = 0;  // of one subtree's sums
  for (std::uint32_t i = 0; i < fused.size; ++i) bytes += wide_room_of(*fused.of[i]);
  PoolVector<std::byte> inbox = list<std::byte>(static_cast<std::size_t>(size()) * bytes);  // a node's subtrees are at most its ranks
  PoolVector<const std::byte*> next = list<const std::byte*>(members_.nodes.size());
  Transfers transfers(PoolAllocator<Transfers::value_type>{*pool_});
  for (std::size_t node = 0; node < members_.nodes.size(); ++node) {
    const RankRange ranks = members_.nodes[node];
    std::byte* box = inbox.data() + static_cast<std::size_t>(ranks.first) * bytes;
    next[node] = ranks == here_ ? page_.partial(0) : box;
    if (ranks == here_) continue;
    post_receive(transfers, ranks.first, box, subtrees_[node].size() * bytes);
    post_send(transfers, ranks.first, page_.partial(0), own_bytes);
  }
  co_await finish(op, transfers);
  *reinterpret_cast<std::uint32_t*>(board) = fused.size;
  std::size_t at = kLine;
  for (std::uint32_t i = 0; i < fused.size; at += room_of(*fused.of[i]), ++i) {
    const Announcement& what = fused.of[i]->announcement;
    leaves_.clear();
    for (std::size_t node = 0; node < members_.nodes.size(); ++node)
      for (const RankRange& subtree : subtrees_[node]) {
        leaves_.push_back({subtree, next[node], true});
        next[node] += wide_room_of(*fused.of[i]);
      }
    reduce_tree({what.dtype, what.op, {0, size()}}, leaves_, board + at, what.elements);
  }
}

}  // namespace chorale
