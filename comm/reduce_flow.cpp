// all_reduce and reduce_scatter. In the node every rank sums one share of each chunk, over its peers' own memory where that
// is visible, else over staging areas. Between nodes the chunk is cut over the leaders, who exchange complete subtrees.
#include <algorithm>
#include <cstring>

#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/touch.hpp>

namespace chorale {
namespace {

constexpr std::size_t kSmallBytes = 16 * 1024;  // everybody sums everything: one phase instead of three
constexpr std::int64_t kShareGrain = 64;        // elements; shares begin on cache lines

/// Share i of n of the elements [first, last).
std::pair<std::int64_t, std::int64_t> share(std::int64_t first, std::int64_t last, int i, int n) {
  const std::int64_t grains = (last - first + kShareGrain - 1) / kShareGrain;
  auto border = [&](int at) { return std::min(last, first + grains * at / n * kShareGrain); };
  return {border(i), border(i + 1)};
}

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
}

std::size_t width(DType type, std::int64_t elements) { return static_cast<std::size_t>(elements) * size_bytes(type); }

}  // namespace

Task NodeCommunicator::reduce_flow(Operation& op, ReducePlan plan) {
  const std::size_t bytes = width(plan.dtype, plan.total());
  if (node_count() == 1 && bytes <= kSmallBytes) {
    const std::uint64_t use = stage_use_++;
    copy_bytes(page_.stage(local_, use), plan.input, bytes);
    world_->bytes_sent += bytes;
    co_await open(op, {});
    const std::int64_t first = plan.everywhere ? 0 : plan.borders[static_cast<std::size_t>(rank())];
    const std::int64_t last = plan.everywhere ? plan.total() : plan.borders[static_cast<std::size_t>(rank()) + 1];
    std::vector<TreeLeaf> leaves;
    for (int local = 0; local < size(); ++local) leaves.push_back({{local, local + 1}, page_.stage(local, use) + width(plan.dtype, first)});
    reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves, plan.output, last - first);
    co_return;
  }
  co_await open(op, segments_->find(plan.input, bytes));
  const bool direct = is_direct(op);
  if (direct && bytes > 0) {
    reduce_direct(op, plan);
    for (enter(op); !is_here(op);) co_await kPause;
  } else {
    co_await reduce_rounds(op, plan);
  }
}

void NodeCommunicator::reduce_direct(const Operation& op, const ReducePlan& plan) {
  const Touch touch(page_.slot(local_), *world_->abort);
  const auto [first, last] =
      plan.everywhere ? share(0, plan.total(), rank(), size())
                      : std::pair(plan.borders[static_cast<std::size_t>(rank())], plan.borders[static_cast<std::size_t>(rank()) + 1]);
  constexpr std::int64_t kBlock = 8192;  // elements: the sum is still in the cache when it is handed out
  std::vector<TreeLeaf> leaves(static_cast<std::size_t>(size()));
  for (std::int64_t at = first; at < last; at += kBlock) {
    const std::int64_t count = std::min(kBlock, last - at);
    const std::size_t offset = width(plan.dtype, at), bytes = width(plan.dtype, count);
    for (int peer = 0; peer < size(); ++peer) leaves[static_cast<std::size_t>(peer)] = {{peer, peer + 1}, peer_data(op, peer) + offset};
    std::byte* out = plan.output + (plan.everywhere ? offset : width(plan.dtype, at - first));
    reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves, out, count);
    for (int peer = 0; plan.everywhere && peer < size(); ++peer)
      if (peer != rank()) copy_bytes(const_cast<std::byte*>(peer_data(op, peer)) + offset, out, bytes);
  }
  if (plan.everywhere) world_->bytes_sent += width(plan.dtype, last - first) * static_cast<std::size_t>(size() - 1);
}

Task NodeCommunicator::reduce_rounds(Operation& op, const ReducePlan& plan) {
  const auto chunk_elements = static_cast<std::int64_t>(NodePage::kStageBytes / size_bytes(plan.dtype));
  for (std::int64_t first = 0; first < plan.total(); first += chunk_elements) {
    const Span chunk{first, std::min(plan.total(), first + chunk_elements)};
    const std::uint64_t use = stage_use_++;
    copy_bytes(page_.stage(local_, use), plan.input + width(plan.dtype, chunk.first), width(plan.dtype, chunk.size()));
    world_->bytes_sent += width(plan.dtype, chunk.size());
    for (enter(op); !is_here(op);) co_await kPause;
    std::byte* board = page_.board(board_use_++);
    reduce_share(plan, chunk, use, board);
    for (enter(op); !is_here(op);) co_await kPause;
    if (node_count() > 1) {
      if (local_ == 0) co_await exchange_partials(op, plan, chunk, board);
      for (enter(op); !is_here(op);) co_await kPause;
    }
    const std::int64_t from = std::max(chunk.first, plan.everywhere ? 0 : plan.borders[static_cast<std::size_t>(rank())]);
    const std::int64_t to = std::min(chunk.last, plan.everywhere ? plan.total() : plan.borders[static_cast<std::size_t>(rank()) + 1]);
    const std::int64_t origin = plan.everywhere ? 0 : plan.borders[static_cast<std::size_t>(rank())];
    if (from < to)
      copy_bytes(plan.output + width(plan.dtype, from - origin), board + width(plan.dtype, from - chunk.first),
                 width(plan.dtype, to - from));
  }
}

void NodeCommunicator::reduce_share(const ReducePlan& plan, Span chunk, std::uint64_t use, std::byte* board) {
  const auto [first, last] = share(0, chunk.size(), local_, here_.size());
  auto leaves_of = [&, from = first](RankRange ranks) {
    std::vector<TreeLeaf> leaves;
    for (int r = ranks.first; r < ranks.last; ++r)
      leaves.push_back({{r, r + 1}, page_.stage(r - here_.first, use) + width(plan.dtype, from)});
    return leaves;
  };
  if (node_count() == 1) {
    reduce_tree({plan.dtype, plan.op, here_}, leaves_of(here_), board + width(plan.dtype, first), last - first);
    world_->bytes_sent += width(plan.dtype, last - first);
    return;
  }
  const std::vector<RankRange>& subtrees = subtrees_[static_cast<std::size_t>(node_index())];
  for (std::size_t i = 0; i < subtrees.size(); ++i) {
    const DType wide = accumulator(plan.dtype);
    reduce_tree({plan.dtype, plan.op, subtrees[i], true}, leaves_of(subtrees[i]), page_.partial(static_cast<int>(i)) + width(wide, first),
                last - first);
    world_->bytes_sent += width(wide, last - first);
  }
}

Task NodeCommunicator::exchange_partials(Operation& op, const ReducePlan& plan, Span chunk, std::byte* board) {
  const DType wide = accumulator(plan.dtype);
  auto cut = [&](int node) {  // elements counted from the chunk's start
    const RankRange ranks = members_.nodes[static_cast<std::size_t>(node)];
    if (plan.everywhere) {
      const auto [first, last] = share(0, chunk.size(), node, node_count());
      return Span{first, last};
    }
    const std::int64_t first = std::max(chunk.first, plan.borders[static_cast<std::size_t>(ranks.first)]) - chunk.first;
    const std::int64_t last = std::min(chunk.last, plan.borders[static_cast<std::size_t>(ranks.last)]) - chunk.first;
    return Span{first, std::max(first, last)};
  };
  const int own = node_index();
  const Span mine = cut(own);
  std::vector<std::vector<std::byte>> inbox(members_.nodes.size());
  std::vector<TreeLeaf> leaves;
  Transfers transfers;
  for (int node = 0; node < node_count(); ++node) {
    const auto& theirs = subtrees_[static_cast<std::size_t>(node)];
    const int leader = members_.nodes[static_cast<std::size_t>(node)].first;
    std::vector<std::byte>& box = inbox[static_cast<std::size_t>(node)];
    if (node != own) box.resize(theirs.size() * width(wide, mine.size()));
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      std::byte* here =
          node == own ? page_.partial(static_cast<int>(i)) + width(wide, mine.first) : box.data() + i * width(wide, mine.size());
      leaves.push_back({theirs[i], here, true});
      if (node != own) post_receive(transfers, leader, here, width(wide, mine.size()));
    }
    if (node == own) continue;
    const Span yours = cut(node);
    for (std::size_t i = 0; i < subtrees_[static_cast<std::size_t>(own)].size(); ++i)
      post_send(transfers, leader, page_.partial(static_cast<int>(i)) + width(wide, yours.first), width(wide, yours.size()));
  }
  co_await finish(op, transfers);
  reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves, board + width(plan.dtype, mine.first), mine.size());
  if (!plan.everywhere) co_return;
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
