// all_to_all: every rank learns all counts first, so that every rank names the same pair when two do not match. In one node a
// rank's counts lie at the front of its staging area, with its parts behind them where they are few bytes; else the node's ranks
// read from each other. Between nodes: exchange_between.cpp.
#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/touch.hpp>

namespace chorale {
namespace {

constexpr std::size_t kSmallBytes = 8 * 1024;  // that a rank sends; staged before ranks meet: one phase

std::size_t row_bytes(int ranks) { return (2 * (static_cast<std::size_t>(ranks) + 1) * sizeof(std::uint64_t) + 63) / 64 * 64; }

}  // namespace

void NodeCommunicator::write_row(const ExchangePlan& plan, std::uint64_t* row) const {
  std::copy(plan.receive.begin(), plan.receive.end(), std::copy(plan.send.begin(), plan.send.end(), row));
}

void NodeCommunicator::check_rows(const Operation& op, ExchangeRows rows) const {
  for (std::size_t from = 0; from < rows.ranks; ++from)
    for (std::size_t to = 0; to < rows.ranks; ++to)
      if (const std::size_t sent = rows.sent(from, to), awaited = rows.awaited(from, to); sent != awaited)
        throw CommError(static_cast<int>(from), op.announcement.title(), op.announcement.sequence,
                        op.announcement.heading() + "rank " + std::to_string(from) + " sends " + std::to_string(sent) + " bytes to rank " +
                            std::to_string(to) + ", which awaits " + std::to_string(awaited) +
                            "; send_counts and receive_counts must mirror each other");
}

bool NodeCommunicator::is_small(ExchangeRows rows) const {
  for (std::size_t from = 0; from < rows.ranks; ++from)
    if (rows.of_rank(from)[rows.ranks] > kSmallBytes) return false;
  return true;
}

void NodeCommunicator::stage_parts(const ExchangePlan& plan, std::byte* cells) {
  const std::size_t me = static_cast<std::size_t>(rank()), first = plan.send[me], last = plan.send[me + 1];
  copy_out(cells, plan.input, first);  // our own part stays out
  copy_out(cells + last, plan.input + last, plan.send.back() - last);
  terms_->bytes_sent += plan.send.back() - (last - first);
}

Task NodeCommunicator::exchange_flow(Operation& op, ExchangePlan plan) {
  if (node_count() > 1) {
    co_await exchange_between(op, plan);
    co_return;
  }
  const std::size_t n = static_cast<std::size_t>(size());
  const std::uint64_t use = stage_use_++;
  write_row(plan, reinterpret_cast<std::uint64_t*>(page_.stage(local_, use)));
  const bool small = plan.send.back() <= kSmallBytes;
  if (small) stage_parts(plan, page_.stage(local_, use) + row_bytes(size()));
  for (announce(op, segments_->find(plan.input, plan.send.back())); !is_here(op);) co_await kPause;
  check_node(op);
  PoolVector<std::uint64_t> table = list<std::uint64_t>(n * 2 * (n + 1));
  for (std::size_t r = 0; r < n; ++r) {
    const auto* row = reinterpret_cast<const std::uint64_t*>(page_.stage(static_cast<int>(r), use));
    std::copy(row, row + 2 * (n + 1), table.data() + r * 2 * (n + 1));
  }
  const ExchangeRows rows{table.data(), n};
  check_rows(op, rows);
  if (is_small(rows)) {
    exchange_staged(plan, rows, use);
  } else if (is_direct(op)) {
    exchange_direct(op, plan, rows);
    for (enter(op); !is_here(op);) co_await kPause;
  } else {
    co_await exchange_rounds(op, plan, rows);
  }
}

void NodeCommunicator::exchange_staged(const ExchangePlan& plan, ExchangeRows rows, std::uint64_t use) {
  const std::size_t me = static_cast<std::size_t>(rank());
  for (std::size_t peer = 0; peer < rows.ranks; ++peer) {
    const std::byte* from =
        peer == me ? plan.input + plan.send[me] : page_.stage(static_cast<int>(peer), use) + row_bytes(size()) + rows.begin(peer, me);
    copy_bytes(plan.output + plan.receive[peer], from, plan.receive[peer + 1] - plan.receive[peer]);
  }
}

void NodeCommunicator::exchange_direct(const Operation& op, const ExchangePlan& plan, ExchangeRows rows) {
  const std::size_t n = rows.ranks, me = static_cast<std::size_t>(rank());
  const Touch touch(page_.slot(local_), *world_->abort);
  for (std::size_t step = 0; step < n; ++step) {
    const std::size_t peer = (me + step) % n;
    copy_bytes(plan.output + plan.receive[peer], peer_data(op, static_cast<int>(peer)) + rows.begin(peer, me),
               plan.receive[peer + 1] - plan.receive[peer]);
  }
  terms_->bytes_sent += plan.send.back() - (plan.send[me + 1] - plan.send[me]);
}

Task NodeCommunicator::exchange_rounds(Operation& op, const ExchangePlan& plan, ExchangeRows rows) {
  // Each staging area has one cell for each peer of the node.
  const std::size_t locals = static_cast<std::size_t>(here_.size()), base = static_cast<std::size_t>(here_.first);
  const std::size_t me = static_cast<std::size_t>(rank()), cell = NodePage::kStageBytes / locals / 64 * 64;
  std::size_t longest = 0;
  for (std::size_t from = base; from < base + locals; ++from)
    for (std::size_t to = base; to < base + locals; ++to)
      if (from != to) longest = std::max(longest, rows.sent(from, to));
  auto piece = [&](const PoolVector<std::size_t>& at, std::size_t peer, std::size_t done) {
    const std::size_t bytes = at[peer + 1] - at[peer];
    return done < bytes ? std::min(cell, bytes - done) : 0;
  };
  copy_bytes(plan.output + plan.receive[me], plan.input + plan.send[me], plan.send[me + 1] - plan.send[me]);
  for (std::size_t done = 0; done < longest; done += cell) {
    const std::uint64_t use = stage_use_++;
    for (std::size_t to = base; to < base + locals; ++to) {
      if (to == me) continue;
      const std::size_t bytes = piece(plan.send, to, done);
      copy_out(page_.stage(local_, use) + (to - base) * cell, plan.input + plan.send[to] + done, bytes);
      terms_->bytes_sent += bytes;
    }
    for (enter(op); !is_here(op);) co_await kPause;
    for (std::size_t from = base; from < base + locals; ++from)
      if (from != me)
        copy_bytes(plan.output + plan.receive[from] + done,
                   page_.stage(static_cast<int>(from - base), use) + static_cast<std::size_t>(local_) * cell,
                   piece(plan.receive, from, done));
  }
}

}  // namespace chorale
