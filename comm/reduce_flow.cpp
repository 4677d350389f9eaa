// all_reduce (of few bytes: fused_flow.cpp) and reduce_scatter. In the node every rank sums one share, over its peers' own memory where
// that is visible, else over staging areas (reduce_rounds.cpp). Between nodes: reduce_between.cpp.
#include <algorithm>

#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/share.hpp>
#include <chorale/comm/touch.hpp>

namespace chorale {
namespace {

constexpr std::size_t kTinyBytes = 1024;       // everybody reads what it needs from staging areas, wherever the data lies: one phase
constexpr std::size_t kSmallBytes = 8 * 1024;  // the same where the data is not visible to peers

}  // namespace

NodeCommunicator::Span NodeCommunicator::part_of(const ReducePlan& plan, int of_rank) const {
  if (plan.everywhere()) {
    const auto [first, last] = share(0, plan.elements, of_rank, size());
    return {first, last};
  }
  return {plan.borders[static_cast<std::size_t>(of_rank)], plan.borders[static_cast<std::size_t>(of_rank) + 1]};
}

Task NodeCommunicator::reduce_flow(Operation& op, ReducePlan plan) {
  const std::size_t bytes = width(plan.dtype, plan.elements);
  if (node_count() > 1) {
    co_await open(op, {});
    co_await reduce_between(op, plan);
    co_return;
  }
  const bool small = bytes <= kSmallBytes;
  const std::uint64_t use = small ? stage_use_++ : 0;
  const Place place = bytes <= kTinyBytes ? Place{} : segments_->find(plan.input, bytes);
  if (small && place.segment == 0) {
    copy_out(page_.stage(local_, use), plan.input, bytes);
    terms_->bytes_sent += bytes;
  }
  for (announce(op, place); !is_here(op);) co_await kPause;  // open() without a frame of its own: small sums are frequent
  check_node(op);
  if (is_direct(op)) {
    reduce_direct(op, plan);
    for (enter(op); !is_here(op);) co_await kPause;
  } else if (small && is_staged(op)) {
    reduce_staged(plan, use);
  } else {
    co_await reduce_rounds(op, plan);
  }
}

bool NodeCommunicator::is_staged(const Operation& op) const {
  for (int local = 0; local < here_.size(); ++local)
    if (page_.slot(local).place[op.turn % 2].segment != 0) return false;
  return true;
}

void NodeCommunicator::reduce_staged(const ReducePlan& plan, std::uint64_t use) {
  const Span mine = plan.everywhere() ? Span{0, plan.elements} : part_of(plan, rank());
  leaves_.clear();
  for (int local = 0; local < size(); ++local)
    leaves_.push_back({{local, local + 1}, page_.stage(local, use) + width(plan.dtype, mine.first)});
  reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves_, plan.output, mine.size());
}

void NodeCommunicator::reduce_direct(const Operation& op, const ReducePlan& plan) {
  const Touch touch(page_.slot(local_), *world_->abort);
  const Span mine = part_of(plan, rank());
  constexpr std::int64_t kBlock = 2048;  // elements: the sum is still in the cache when it is handed out
  leaves_.clear();
  for (int peer = 0; peer < size(); ++peer) leaves_.push_back({{peer, peer + 1}, peer_data(op, peer) + width(plan.dtype, mine.first)});
  for (std::int64_t at = mine.first; at < mine.last; at += kBlock) {
    const std::int64_t count = std::min(kBlock, mine.last - at);
    const std::size_t bytes = width(plan.dtype, count);
    std::byte* out = plan.output + width(plan.dtype, plan.everywhere() ? at : at - mine.first);
    reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves_, out, count);
    for (TreeLeaf& leaf : leaves_) {
      if (plan.everywhere() && leaf.ranks.first != rank()) copy_bytes(const_cast<std::byte*>(leaf.data), out, bytes);
      leaf.data += bytes;
    }
  }
  if (plan.everywhere()) terms_->bytes_sent += width(plan.dtype, mine.size()) * static_cast<std::size_t>(size() - 1);
}

}  // namespace chorale
