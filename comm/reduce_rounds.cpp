// all_reduce and reduce_scatter in one node over memory that peers do not see: every rank's share goes by in cells. One
// phase a cell: while a rank sums cell k, it has already staged cell k + 1, and what came of cell k - 1 is handed out.
#include <algorithm>

#include <chorale/comm/copy.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/share.hpp>

namespace chorale {
namespace {

constexpr std::size_t kRoundBytes = NodePage::kStageBytes;  // of all cells of a round

}  // namespace

NodeCommunicator::Span NodeCommunicator::cell_of(const ReducePlan& plan, int of_rank, std::int64_t round) const {
  const std::int64_t elements = cell_elements(plan);
  const Span part = part_of(plan, of_rank);
  const std::int64_t first = std::min(part.last, part.first + round * elements);
  return {first, std::min(part.last, first + elements)};
}

std::int64_t NodeCommunicator::cell_elements(const ReducePlan& plan) const {
  return static_cast<std::int64_t>(kRoundBytes / static_cast<std::size_t>(size()) / 64 * 64 / size_bytes(plan.dtype));
}

void NodeCommunicator::stage_round(const ReducePlan& plan, std::int64_t round, std::uint64_t use) {
  const std::size_t cell_bytes = width(plan.dtype, cell_elements(plan));
  for (int step = 1; step < size(); ++step) {  // our own cell we read where it is
    const int peer = (rank() + step) % size();
    const Span cell = cell_of(plan, peer, round);
    copy_out(page_.stage(local_, use) + static_cast<std::size_t>(peer) * cell_bytes, plan.input + width(plan.dtype, cell.first),
             width(plan.dtype, cell.size()));
    terms_->bytes_sent += width(plan.dtype, cell.size());
  }
}

void NodeCommunicator::reduce_round(const ReducePlan& plan, std::int64_t round, std::uint64_t use, std::byte* board) {
  const std::size_t at = static_cast<std::size_t>(rank()) * width(plan.dtype, cell_elements(plan));
  const Span cell = cell_of(plan, rank(), round);
  leaves_.clear();
  for (int local = 0; local < size(); ++local)
    leaves_.push_back({{local, local + 1}, local == rank() ? plan.input + width(plan.dtype, cell.first) : page_.stage(local, use) + at});
  std::byte* out = plan.output + width(plan.dtype, plan.everywhere() ? cell.first : cell.first - part_of(plan, rank()).first);
  const std::int64_t block = 8192 / static_cast<std::int64_t>(size_bytes(plan.dtype));  // still in the cache when it goes to the board
  for (std::int64_t done = 0; done < cell.size(); done += block) {
    const std::int64_t count = std::min(block, cell.size() - done);
    const std::size_t offset = width(plan.dtype, done), bytes = width(plan.dtype, count);
    reduce_tree({plan.dtype, plan.op, {0, size()}}, leaves_, out + offset, count);
    if (plan.everywhere()) copy_out(board + at + offset, out + offset, bytes);
    for (TreeLeaf& leaf : leaves_) leaf.data += bytes;
  }
  if (plan.everywhere()) terms_->bytes_sent += width(plan.dtype, cell.size());
}

void NodeCommunicator::hand_out_round(const ReducePlan& plan, std::int64_t round, const std::byte* board) {
  const std::size_t cell_bytes = width(plan.dtype, cell_elements(plan));
  for (int step = 1; step < size(); ++step) {
    const int peer = (rank() + step) % size();
    const Span cell = cell_of(plan, peer, round);
    copy_bytes(plan.output + width(plan.dtype, cell.first), board + static_cast<std::size_t>(peer) * cell_bytes,
               width(plan.dtype, cell.size()));
  }
}

Task NodeCommunicator::reduce_rounds(Operation& op, const ReducePlan& plan) {
  std::int64_t longest = 0;
  for (int r = 0; r < size(); ++r) longest = std::max(longest, part_of(plan, r).size());
  const std::int64_t rounds = (longest + cell_elements(plan) - 1) / cell_elements(plan);
  if (rounds == 0) co_return;
  std::uint64_t use = stage_use_;
  std::byte* filled = nullptr;
  stage_use_ += static_cast<std::uint64_t>(rounds);
  stage_round(plan, 0, use);
  for (std::int64_t round = 0; round < rounds; ++round, ++use) {
    for (enter(op); !is_here(op);) co_await kPause;
    if (filled) hand_out_round(plan, round - 1, filled);
    std::byte* board = plan.everywhere() ? page_.board(board_use_++) : nullptr;
    reduce_round(plan, round, use, board);
    filled = board;
    if (round + 1 < rounds) stage_round(plan, round + 1, use + 1);
  }
  if (!filled) co_return;
  for (enter(op); !is_here(op);) co_await kPause;
  hand_out_round(plan, rounds - 1, filled);
}

}  // namespace chorale
