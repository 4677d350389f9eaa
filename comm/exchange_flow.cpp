// all_to_all: every rank learns all counts first, so that every rank names the same pair when two do not match. Then the
// node's ranks read from each other, and messages go straight between ranks of different nodes.
#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/touch.hpp>

namespace chorale {
namespace {

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}

}  // namespace

Task NodeCommunicator::exchange_counts(Operation& op, const ExchangePlan& plan, std::vector<std::uint64_t>& borders) {
  // Row r: where rank r's parts for everybody begin and end, then where what it awaits from everybody does.
  const std::size_t n = static_cast<std::size_t>(size()), row = 2 * (n + 1);
  std::vector<std::uint64_t> mine(plan.send.begin(), plan.send.end());
  mine.insert(mine.end(), plan.receive.begin(), plan.receive.end());
  borders.resize(n * row);
  GatherPlan rows{reinterpret_cast<const std::byte*>(mine.data()), reinterpret_cast<std::byte*>(borders.data()), {}};
  for (std::size_t r = 0; r <= n; ++r) rows.borders.push_back(r * row * sizeof(std::uint64_t));
  co_await gather_rounds(op, rows);
  for (std::size_t from = 0; from < n; ++from)
    for (std::size_t to = 0; to < n; ++to) {
      const std::uint64_t sent = borders[from * row + to + 1] - borders[from * row + to];
      const std::uint64_t* receive = &borders[to * row + n + 1];
      if (const std::uint64_t awaited = receive[from + 1] - receive[from]; sent != awaited)
        throw CommError(static_cast<int>(from), op.announcement.title(), op.announcement.sequence,
                        op.announcement.heading() + "rank " + std::to_string(from) + " sends " + std::to_string(sent) + " bytes to rank " +
                            std::to_string(to) + ", which awaits " + std::to_string(awaited) +
                            "; send_counts and receive_counts must mirror each other");
    }
}

Task NodeCommunicator::exchange_flow(Operation& op, ExchangePlan plan) {
  co_await open(op, segments_->find(plan.input, plan.send.back()));
  const bool direct = is_direct(op);
  std::vector<std::uint64_t> borders;
  co_await exchange_counts(op, plan, borders);
  if (direct) {
    exchange_direct(op, plan, borders);
    for (enter(op); !is_here(op);) co_await kPause;
    co_return;
  }
  Transfers transfers;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer >= here_.first && peer < here_.last) continue;
    const auto p = static_cast<std::size_t>(peer);
    post_receive(transfers, peer, plan.output + plan.receive[p], plan.receive[p + 1] - plan.receive[p]);
    post_send(transfers, peer, plan.input + plan.send[p], plan.send[p + 1] - plan.send[p]);
  }
  co_await exchange_rounds(op, plan, borders);
  co_await finish(op, transfers);
}

void NodeCommunicator::exchange_direct(const Operation& op, const ExchangePlan& plan, const std::vector<std::uint64_t>& borders) {
  const std::size_t n = static_cast<std::size_t>(size()), me = static_cast<std::size_t>(rank());
  const Touch touch(page_.slot(local_), *world_->abort);
  for (std::size_t step = 0; step < n; ++step) {
    const std::size_t peer = (me + step) % n;
    copy_bytes(plan.output + plan.receive[peer], peer_data(op, static_cast<int>(peer)) + borders[peer * 2 * (n + 1) + me],
               plan.receive[peer + 1] - plan.receive[peer]);
  }
  world_->bytes_sent += plan.send.back() - (plan.send[me + 1] - plan.send[me]);
}

Task NodeCommunicator::exchange_rounds(Operation& op, const ExchangePlan& plan, const std::vector<std::uint64_t>& borders) {
  // Each staging area has one cell for each peer of the node.
  const std::size_t n = static_cast<std::size_t>(size()), locals = static_cast<std::size_t>(here_.size());
  const std::size_t cell = NodePage::kStageBytes / locals / 64 * 64, base = static_cast<std::size_t>(here_.first);
  std::size_t longest = 0;
  for (std::size_t from = base; from < base + locals; ++from)
    for (std::size_t to = base; to < base + locals; ++to)
      longest = std::max<std::size_t>(longest, borders[from * 2 * (n + 1) + to + 1] - borders[from * 2 * (n + 1) + to]);
  auto piece = [&](const std::vector<std::size_t>& at, std::size_t peer, std::size_t done) {
    const std::size_t bytes = at[peer + 1] - at[peer];
    return done < bytes ? std::min(cell, bytes - done) : 0;
  };
  for (std::size_t done = 0; done < longest; done += cell) {
    const std::uint64_t use = stage_use_++;
    for (std::size_t to = 0; to < locals; ++to) {
      const std::size_t bytes = piece(plan.send, base + to, done);
      copy_bytes(page_.stage(local_, use) + to * cell, plan.input + plan.send[base + to] + done, bytes);
      world_->bytes_sent += bytes;
    }
    for (enter(op); !is_here(op);) co_await kPause;
    for (std::size_t from = 0; from < locals; ++from)
      copy_bytes(plan.output + plan.receive[base + from] + done,
                 page_.stage(static_cast<int>(from), use) + static_cast<std::size_t>(local_) * cell,
                 piece(plan.receive, base + from, done));
  }
}

}  // namespace chorale
