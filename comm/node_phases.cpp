// How a collective begins: announce, meet the node, compare, agree with the other nodes.
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

}  // namespace

void NodeCommunicator::announce(Operation& op, Place place) {
  Slot& slot = page_.slot(local_);
  const std::size_t parity = op.announcement.sequence % 2;
  slot.announcement[parity] = op.announcement;
  slot.signature[parity] = op.announcement.signature();
  slot.place[parity] = place;
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
  const std::size_t parity = op.announcement.sequence % 2;
  const std::uint64_t expected = page_.slot(0).signature[parity];
  for (int local = 1; local < here_.size(); ++local)
    if (page_.slot(local).signature[parity] != expected)
      throw_difference(page_.slot(0).announcement[parity], here_.first, page_.slot(local).announcement[parity], here_.first + local);
}

bool NodeCommunicator::is_direct(const Operation& op) const {
  const std::size_t parity = op.announcement.sequence % 2;
  const std::uint64_t segment = page_.slot(0).place[parity].segment;
  if (segment == 0 || members_.node_count() > 1) return false;
  for (int local = 1; local < here_.size(); ++local)
    if (page_.slot(local).place[parity].segment != segment) return false;
  return true;
}

const std::byte* NodeCommunicator::peer_data(const Operation& op, int local) const {
  return segments_->at(local, page_.slot(local).place[op.announcement.sequence % 2]);
}

Task NodeCommunicator::open(Operation& op, Place place) {
  for (announce(op, place); !is_here(op);) co_await kPause;
  check_node(op);
  if (members_.node_count() == 1) co_return;
  if (local_ == 0) co_await agree_between_nodes(op);
  for (enter(op); !is_here(op);) co_await kPause;
}

Task NodeCommunicator::agree_between_nodes(Operation& op) {
  const int own = node_index();
  const Envelope mine{.announcement = op.announcement, .rank = rank()};
  std::vector<Envelope> theirs(members_.nodes.size());
  Transfers transfers;
  for (int node = 0; node < node_count(); ++node) {
    if (node == own) continue;
    const int leader = members_.nodes[static_cast<std::size_t>(node)].first;
    post_receive(transfers, leader, reinterpret_cast<std::byte*>(&theirs[static_cast<std::size_t>(node)]), sizeof(Envelope));
    post_send(transfers, leader, reinterpret_cast<const std::byte*>(&mine), sizeof(Envelope));
  }
  op.said_hello = true;
  co_await finish(op, transfers);
  theirs[static_cast<std::size_t>(own)] = mine;
  for (const Envelope& envelope : theirs)
    if (envelope.failed != 0) throw CommError(envelope.rank, envelope.op, envelope.announcement.sequence, envelope.text);
  for (const Envelope& envelope : theirs)
    if (envelope.announcement.signature() != theirs[0].announcement.signature())
      throw_difference(theirs[0].announcement, theirs[0].rank, envelope.announcement, envelope.rank);
}

void NodeCommunicator::post_send(Transfers& to, int peer, const std::byte* data, std::size_t bytes) {
  if (bytes == 0) return;
  world_->bytes_sent += bytes;
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
