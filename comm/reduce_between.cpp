// all_reduce and reduce_scatter between nodes: each node sums a chunk into complete subtrees over its staging areas, the chunk
// is cut over the leaders, who exchange subtrees and then results.
#include <algorithm>

#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/share.hpp>

namespace chorale {
Task NodeCommunicator::reduce_between(Operation& op, const ReducePlan& plan) {
  const auto chunk_elements = static_cast<std::int64_t>(NodePage::kStageBytes / size_bytes(plan.dtype));
  for (std::int64_t first = 0; first < plan.elements; first += chunk_elements) {
    const Span chunk{first, std::min(plan.elements, first + chunk_elements)};
    const std::uint64_t use = stage_use_++;
    copy_out(page_.stage(local_, use), plan.input + width(plan.dtype, chunk.first), width(plan.dtype, chunk.size()));
    terms_->bytes_sent += width(plan.dtype, chunk.size());
    for (enter(op); !is_here(op);) co_await kPause;
    std::byte* board = page_.board(board_use_++);
    reduce_subtrees(plan, chunk, use);
    for (enter(op); !is_here(op);) co_await kPause;
    if (local_ == 0) co_await exchange_partials(op, plan, chunk, board);
    for (enter(op); !is_here(op);) co_await kPause;
    const std::int64_t from = std::max(chunk.first, plan.everywhere() ? 0 : plan.borders[static_cast<std::size_t>(rank())]);
    const std::int64_t to = std::min(chunk.last, plan.everywhere() ? plan.elements : plan.borders[static_cast<std::size_t>(rank()) + 1]);
    const std::int64_t origin = plan.everywhere() ? 0 : plan.borders[static_cast<std::size_t>(rank())];
    if (from < to)
      copy_bytes(plan.output + width(plan.dtype, from - origin), board + width(plan.dtype, from - chunk.first),
                 width(plan.dtype, to - from));
  }
}

void NodeCommunicator::reduce_subtrees(const ReducePlan& plan, Span chunk, std::uint64_t use) {
  const auto [first, last] = share(0, chunk.size(), local_, here_.size());
  const DType wide = accumulator(plan.dtype);
  const std::vector<RankRange>& subtrees = subtrees_[static_cast<std::size_t>(node_index())];
  for (std::size_t i = 0; i < subtrees.size(); ++i) {
    leaves_.clear();
    for (int r = subtrees[i].first; r < subtrees[i].last; ++r)
      leaves_.push_back({{r, r + 1}, page_.stage(r - here_.first, use) + width(plan.dtype, first)});
    reduce_tree({plan.dtype, plan.op, subtrees[i], true}, leaves_, page_.partial(static_cast<int>(i)) + width(wide, first), last - first);
    terms_->bytes_sent += width(wide, last - first);
  }
}

Task NodeCommunicator::exchange_partials(Operation& op, const ReducePlan& plan, Span chunk, std::byte* board) {
  const DType wide = accumulator(plan.dtype);
  auto cut = [&](int node) {  // elements counted from the chunk's start
    const RankRange ranks = members_.nodes[static_cast<std::size_t>(node)];
    if (plan.everywhere()) {
      const auto [first, last] = share(0, chunk.size(), node, node_count());
      return Span{first, last};
    }
    const std::int64_t first = std::max(chunk.first, plan.borders[static_cast<std::size_t>(ranks.first)]) - chunk.first;
    const std::int64_t last = std::min(chunk.last, plan.borders[static_cast<std::size_t>(ranks.last)]) - chunk.first;
    return Span{first, std::max(first, last)};
  };
  const int own = node_index();
  const Span mine = cut(own);
  std::size_t awaited = 0;
  for (int node = 0; node < node_count(); ++node) awaited += node == own ? 0 : subtrees_[static_cast<std::size_t>(node)].size();
  const std::size_t sum_bytes = width(wide, mine.size());
  PoolVector<std::byte> inbox = list<std::byte>(awaited * sum_bytes);
  std::byte* box = inbox.data();
  PoolVector<TreeLeaf> leaves = list<TreeLeaf>();
  Transfers transfers(PoolAllocator<Transfers::value_type>{*pool_});
  for (int node = 0; node < node_count(); ++node) {
    const auto& theirs = subtrees_[static_cast<std::size_t>(node)];
    const int leader = members_.nodes[static_cast<std::size_t>(node)].first;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      std::byte* here = node == own ? page_.partial(static_cast<int>(i)) + width(wide, mine.first) : box;
      leaves.push_back({theirs[i], here, true});
      if (node == own) continue;
      post_receive(transfers, leader, here, sum_bytes);
      box += sum_bytes;
    }
    if (node == own) continue;
    const Span yours = cut(node);
    for (std::size_t i = 0; i < subtrees_[static_cast<std::size_t>(own)].size(); ++i)
      post_send(transfers, leader, page_.partial(static_cast<int>(i)) + width(wide, yours.first), width(wide, yours.size()));
  }
  co_await finish(op, transfers);
  reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves, board + width(plan.dtype, mine.first), mine.size());
  if (!plan.everywhere()) co_return;
  for (int node = 0; node < node_count(); ++node) {
    if (node == own) continue;
    const int leader = members_.nodes[static_cast<std::size_t>(node)].first;
    const Span theirs = cut(node);
    post_receive(transfers, leader, board + width(plan.dtype, theirs.first), width(plan.dtype, theirs.size()));
    post_send(transfers, leader, board + width(plan.dtype, mine.first), width(plan.dtype, mine.size()));
  }
  co_await finish(op, transfers);
}

}  // namespace chorale
