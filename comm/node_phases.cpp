// How a collective begins: announce, meet the node, compare, agree with the other nodes.
#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/comm/node_communicator.hpp>

namespace chorale {
namespace {

[[noreturn]] void throw_difference(const Announcement& a, int rank_a, const Announcement& b, int rank_b) {
  throw CommError(rank_b, a.title(), a.sequence,
                  a.heading() + "ranks disagree: rank " + std::to_string(rank_a) + " is at " + a.text() + ", rank " +
                      std::to_string(rank_b) + " is at " + b.text() + "; every rank must call the same verbs in the same order");
}

/// How many operations, the first one included, two have in common before they differ or one of them ends.
std::uint32_t equal_ones(std::uint32_t size_a, const std::uint64_t* a, std::uint32_t size_b, const std::uint64_t* b) {
  const std::uint32_t size = std::min(size_a, size_b);
  return 1 + static_cast<std::uint32_t>(std::mismatch(a, a + size - 1, b).first - a);
}

}  // namespace

std::uint32_t NodeCommunicator::fused_in_node(const Operation& op) const {
  const std::size_t parity = op.turn % 2;
  const Slot& first = page_.slot(0);
  std::uint32_t out = first.fused[parity];
  for (int local = 1; local < here_.size() && out > 1; ++local) {
    const Slot& slot = page_.slot(local);
    out = equal_ones(out, first.followers[parity], slot.fused[parity], slot.followers[parity]);
  }
  return out;
}

void NodeCommunicator::announce(Operation& op, Place place, const Fused* fused) {
  Slot& slot = page_.slot(local_);
  op.turn = turn_++;
  const std::size_t parity = op.turn % 2;
  slot.announcement[parity] = op.announcement;
  slot.signature[parity] = op.announcement.signature();
  slot.place[parity] = place;
  slot.fused[parity] = fused ? fused->size : 1;
  for (std::uint32_t i = 1; fused && i < fused->size; ++i) slot.followers[parity][i - 1] = fused->of[i]->announcement.signature();
  enter(op);
}

void NodeCommunicator::enter(Operation& op) {
  op.awaits = Operation::Awaits::node_peers;
  op.phase = ++phase_;
  Slot& slot = page_.slot(local_);
  // Only now, not when the transfers ended: what they brought may be a failure, which takes a moment to reach the board,
  // and until then our node must not take us for the one who is missing.
  slot.awaited_node.store(0, std::memory_order_relaxed);
  page_.meeting().arrive(local_, phase_);
}

bool NodeCommunicator::is_here(Operation& op) {
  if (!page_.meeting().is_complete(op.phase)) return false;
  engine_.moved();
  return true;
}

void NodeCommunicator::check_node(const Operation& op) {
  const std::size_t parity = op.turn % 2;
  const std::uint64_t expected = page_.slot(0).signature[parity];
  for (int local = 1; local < here_.size(); ++local)
    if (page_.slot(local).signature[parity] != expected)
      throw_difference(page_.slot(0).announcement[parity], here_.first, page_.slot(local).announcement[parity], here_.first + local);
}

bool NodeCommunicator::is_direct(const Operation& op) const {
  const std::size_t parity = op.turn % 2;
  const std::uint64_t segment = page_.slot(0).place[parity].segment;
  if (segment == 0 || members_.node_count() > 1) return false;
  for (int local = 1; local < here_.size(); ++local)
    if (page_.slot(local).place[parity].segment != segment) return false;
  return true;
}

const std::byte* NodeCommunicator::peer_data(const Operation& op, int local) const {
  return segments_->at(local, page_.slot(local).place[op.turn % 2]);
}

Task NodeCommunicator::open(Operation& op, Place place) {
  for (announce(op, place); !is_here(op);) co_await kPause;
  check_node(op);
  if (members_.node_count() == 1) co_return;
  if (local_ == 0) co_await agree_between_nodes(op, nullptr);
  for (enter(op); !is_here(op);) co_await kPause;
}

Task NodeCommunicator::agree_between_nodes(Operation& op, Fused* fused) {
  const int own = node_index();
  PoolVector<Envelope> envelopes = list<Envelope>(members_.nodes.size());
  Envelope& mine = envelopes[static_cast<std::size_t>(own)];
  mine.announcement = op.announcement, mine.rank = rank();
  if (fused) mine.fused = fused->size;
  for (std::uint32_t i = 1; i < mine.fused; ++i) mine.followers[i - 1] = fused->of[i]->announcement.signature();
  Transfers transfers(PoolAllocator<Transfers::value_type>{*pool_});
  for (int node = 0; node < node_count(); ++node) {
    if (node == own) continue;
    const int leader = members_.nodes[static_cast<std::size_t>(node)].first;
    post_receive(transfers, leader, reinterpret_cast<std::byte*>(&envelopes[static_cast<std::size_t>(node)]), sizeof(Envelope));
    post_send(transfers, leader, reinterpret_cast<const std::byte*>(&mine), sizeof(Envelope));
  }
  op.said_hello = true;
  co_await finish(op, transfers);
  for (const Envelope& envelope : envelopes)
    if (envelope.failed != 0) throw CommError(envelope.rank, envelope.op, envelope.announcement.sequence, envelope.text);
  const Envelope& first = envelopes[0];
  for (const Envelope& envelope : envelopes)
    if (envelope.announcement.signature() != first.announcement.signature())
      throw_difference(first.announcement, first.rank, envelope.announcement, envelope.rank);
  if (!fused) co_return;
  for (const Envelope& envelope : envelopes)
    fused->size = std::min(fused->size, equal_ones(first.fused, first.followers, envelope.fused, envelope.followers));
}

void NodeCommunicator::post_send(Transfers& to, int peer, const std::byte* data, std::size_t bytes) {
  if (bytes == 0) return;
  terms_->bytes_sent += bytes;
  to.emplace_back(members_.node_of(peer),
                  world_->transport->send(members_.root_ranks[static_cast<std::size_t>(peer)], tag_, {data, bytes}));
}

void NodeCommunicator::post_receive(Transfers& from, int peer, std::byte* data, std::size_t bytes) {
  if (bytes == 0) return;
  from.emplace_back(members_.node_of(peer),
                    world_->transport->receive(members_.root_ranks[static_cast<std::size_t>(peer)], tag_, {data, bytes}));
}

Task NodeCommunicator::finish(Operation& op, Transfers& transfers) {
  op.awaits = Operation::Awaits::other_node;
  while (true) {
    const std::size_t before = transfers.size();
    std::erase_if(transfers, [](auto& each) { return each.second->test(); });
    if (transfers.size() != before) engine_.moved();
    if (transfers.empty()) break;
    op.awaited = transfers.front().first;
    page_.slot(local_).awaited_node.store(op.awaited + 1, std::memory_order_relaxed);
    co_await kPause;
  }
}

}  // namespace chorale
