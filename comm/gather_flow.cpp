// all_gather and broadcast: in the node each rank reads what it needs, from its peers' own memory where that is visible,
// else through staging areas, cell by cell. Between nodes the leaders pass their node's part of a board on, which goes round in chunks.
#include <algorithm>

#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/touch.hpp>

namespace chorale {
namespace {

constexpr std::size_t kSmallBytes = 16 * 1024;  // one phase; copying twice costs less than meeting twice

}  // namespace

Task NodeCommunicator::gather_flow(Operation& op, GatherPlan plan) {
  const std::size_t mine = plan.borders[static_cast<std::size_t>(rank()) + 1] - plan.borders[static_cast<std::size_t>(rank())];
  if (node_count() == 1 && plan.borders.back() <= kSmallBytes) {
    std::byte* board = page_.board(board_use_++);
    copy_out(board + plan.borders[static_cast<std::size_t>(rank())], plan.input, mine);
    terms_->bytes_sent += mine;
    co_await open(op, {});
    const std::size_t first = plan.borders[static_cast<std::size_t>(rank())], last = first + mine;
    copy_bytes(plan.output, board, first);
    copy_bytes(plan.output + first, plan.input, mine);
    copy_bytes(plan.output + last, board + last, plan.borders.back() - last);
    co_return;
  }
  co_await open(op, segments_->find(plan.input, mine));
  if (!is_direct(op)) {
    if (node_count() > 1)
      co_await gather_rounds(op, plan);
    else
      co_await gather_cells(op, plan);
    co_return;
  }
  {
    const Touch touch(page_.slot(local_), *world_->abort);
    for (int step = 0; step < size(); ++step) {
      const int peer = (rank() + step) % size();  // not all at one peer's memory at once
      const std::size_t first = plan.borders[static_cast<std::size_t>(peer)], last = plan.borders[static_cast<std::size_t>(peer) + 1];
      copy_bytes(plan.output + first, peer_data(op, peer), last - first);
    }
  }
  terms_->bytes_sent += mine;
  for (enter(op); !is_here(op);) co_await kPause;
}

Task NodeCommunicator::gather_cells(Operation& op, const GatherPlan& plan) {
  auto part = [&](int of_rank) {
    return plan.borders[static_cast<std::size_t>(of_rank) + 1] - plan.borders[static_cast<std::size_t>(of_rank)];
  };
  std::size_t longest = 0;
  for (int r = 0; r < size(); ++r) longest = std::max(longest, part(r));
  // Where one rank gives all, the others read while it stages the next cell: shorter cells are sooner under way.
  const std::size_t cell = longest == plan.borders.back() ? NodePage::kStageBytes / 4 : NodePage::kStageBytes;
  auto piece = [&](int of_rank, std::size_t done) { return done < part(of_rank) ? std::min(cell, part(of_rank) - done) : 0; };
  copy_bytes(plan.output + plan.borders[static_cast<std::size_t>(rank())], plan.input, longest == 0 ? 0 : part(rank()));
  for (std::size_t done = 0; done < longest; done += cell) {
    const std::uint64_t use = stage_use_++;
    copy_out(page_.stage(local_, use), plan.input + done, piece(rank(), done));
    terms_->bytes_sent += piece(rank(), done);
    for (enter(op); !is_here(op);) co_await kPause;
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank() + step) % size();
      copy_bytes(plan.output + plan.borders[static_cast<std::size_t>(peer)] + done, page_.stage(peer, use), piece(peer, done));
    }
  }
}

Task NodeCommunicator::gather_rounds(Operation& op, const GatherPlan& plan) {
  const std::size_t my_first = plan.borders[static_cast<std::size_t>(rank())], my_last = plan.borders[static_cast<std::size_t>(rank()) + 1];
  for (std::size_t first = 0; first < plan.borders.back(); first += NodePage::kBoardBytes) {
    const std::size_t last = std::min(plan.borders.back(), first + NodePage::kBoardBytes);
    std::byte* board = page_.board(board_use_++);
    if (const std::size_t from = std::max(first, my_first), to = std::min(last, my_last); from < to) {
      copy_out(board + (from - first), plan.input + (from - my_first), to - from);
      terms_->bytes_sent += to - from;
    }
    for (enter(op); !is_here(op);) co_await kPause;
    if (node_count() > 1) {
      if (local_ == 0) co_await spread_board(op, plan, first, last, board);
      for (enter(op); !is_here(op);) co_await kPause;
    }
    // What we gave ourselves need not come back, if it lies where it belongs.
    const bool in_place = plan.output + my_first == plan.input;
    const std::size_t skipped = in_place ? std::clamp(my_first, first, last) : last,
                      resumed = in_place ? std::clamp(my_last, first, last) : last;
    copy_bytes(plan.output + first, board, skipped - first);
    copy_bytes(plan.output + resumed, board + (resumed - first), last - resumed);
  }
}

Task NodeCommunicator::spread_board(Operation& op, const GatherPlan& plan, std::size_t first, std::size_t last, std::byte* board) {
  auto part_of = [&](const RankRange& node) {
    const std::size_t from = std::max(first, plan.borders[static_cast<std::size_t>(node.first)]);
    const std::size_t to = std::min(last, plan.borders[static_cast<std::size_t>(node.last)]);
    return std::pair(from, to > from ? to - from : 0);
  };
  const auto [own_from, own_bytes] = part_of(here_);
  Transfers transfers(PoolAllocator<Transfers::value_type>{*pool_});
  for (const RankRange& node : members_.nodes) {
    if (node == here_) continue;
    const auto [from, bytes] = part_of(node);
    if (bytes > 0) post_receive(transfers, node.first, board + (from - first), bytes);
    if (own_bytes > 0) post_send(transfers, node.first, board + (own_from - first), own_bytes);
  }
  co_await finish(op, transfers);
}

}  // namespace chorale
