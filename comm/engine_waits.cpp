// How an engine waits: who is awaited, how the time is spent, and what is said when nobody comes.
#include <algorithm>
#include <string>

#include <chorale/comm/engine.hpp>
#include <chorale/comm/patience.hpp>

namespace chorale {
namespace {

std::string list(const std::vector<int>& ranks) {
  std::string out;
  for (int rank : ranks) out.append(out.empty() ? "" : " ").append(std::to_string(rank));
  return out;
}

}  // namespace

void Engine::wait(const Operation& operation) {
  Patience patience(world_->crowded);
  std::uint64_t moves = moves_;
  std::int64_t next_look_ms = 0;
  while (!poll(operation)) {
    if (moves != moves_) {
      moves = moves_;
      next_look_ms = 0;
      patience.restart();
    }
    const Operation& first = *operations_.front();
    if (first.awaits == Operation::Awaits::node_peers && is_one_lane() && spin(first.phase, patience)) continue;
    const bool asleep = patience.is_sleepy() && is_woken_by_bell();
    if (asleep) sleep(operation, moves, patience);
    if (asleep || patience.pause()) examine(operation, patience.waited_ms(), next_look_ms);
  }
}

bool Engine::is_one_lane() const {
  return std::all_of(operations_.begin(), operations_.end(), [&](const auto& each) { return each->lane == operations_.front()->lane; });
}

bool Engine::spin(std::uint64_t phase, Patience& patience) const {
  const Rendezvous meeting = page_.meeting();
  while (patience.spin())
    if (meeting.is_complete(phase)) return true;
  return false;
}

bool Engine::is_woken_by_bell() const {
  if (members_.node_count() > 1) return false;  // the wire wants to be polled
  return std::all_of(operations_.begin(), operations_.end(), [](const auto& each) {
    return each->awaits == Operation::Awaits::node_peers || each->awaits == Operation::Awaits::peer ||
           each->awaits == Operation::Awaits::nothing;
  });
}

void Engine::sleep(const Operation& operation, std::uint64_t moves, Patience& patience) {
  constexpr std::int64_t kLimitUs = 10000;  // an abort on another page, a dead peer and the deadline ring no bell
  {
    const Bell::Sleeper sleeper(page_.meeting().bell());
    if (!poll(operation) && moves == moves_) sleeper.sleep(kLimitUs);
  }
  patience.slept();
}

int Engine::awaited_node(const Operation& operation) const {
  if (operation.awaits == Operation::Awaits::other_node) return operation.awaited;
  return operation.awaits == Operation::Awaits::node_peers ? page_.slot(0).awaited_node.load(std::memory_order_relaxed) - 1 : -1;
}

void Engine::examine(const Operation& awaited, std::int64_t waited_ms, std::int64_t& next_look_ms) {
  // What is in the way is the first of its lane.
  const Operation& operation =
      **std::find_if(operations_.begin(), operations_.end(), [&](const auto& each) { return each->lane == awaited.lane; });
  // Between nodes a little longer: the node where a rank is missing knows its name, and says it first.
  const std::int64_t grace_ms = awaited_node(operation) >= 0 ? std::min<std::int64_t>(1000, world_->timeout_ms / 2) : 0;
  if (waited_ms >= world_->timeout_ms + grace_ms) return fail(operation, overdue(operation));
  constexpr std::int64_t kLookEveryMs = 250;
  if (waited_ms < next_look_ms) return;
  if (next_look_ms > 0 && world_->process.id != 0) {
    const RankRange node = members_.own_node();
    for (int rank = node.first; rank < node.last; ++rank) {
      const ProcessMark process = page_.slot(rank - node.first).process;
      if (rank != members_.rank && is_gone(process)) return fail(operation, lost(operation, rank, process.id));
    }
  }
  next_look_ms = waited_ms + kLookEveryMs;
}

std::vector<int> Engine::missing_ranks(const Operation& operation) const {
  const RankRange node = members_.own_node();
  std::vector<int> out;
  auto add_node = [&](int index) {
    const RankRange ranks = members_.nodes[static_cast<std::size_t>(index)];
    for (int rank = ranks.first; rank < ranks.last; ++rank) out.push_back(rank);
  };
  if (operation.awaits == Operation::Awaits::peer) out.push_back(operation.awaited);
  if (operation.awaits == Operation::Awaits::other_node) add_node(operation.awaited);
  if (operation.awaits == Operation::Awaits::node_peers) {
    for (int rank = node.first; rank < node.last; ++rank)
      if (page_.slot(rank - node.first).arrived.load(std::memory_order_acquire) < operation.phase) out.push_back(rank);
    const int beyond = awaited_node(operation);
    if (out.size() == 1 && out[0] == node.first && beyond >= 0) {  // our leader is here, it waits for another node
      out.clear();
      add_node(beyond);
    }
  }
  return out;
}

CommError Engine::overdue(const Operation& operation) const {
  const Announcement& what = operation.announcement;
  const std::vector<int> missing = missing_ranks(operation);
  const int first = missing.empty() ? members_.rank : missing[0];
  const std::string text = what.heading() + "no sign of rank" + (missing.size() > 1 ? "s " : " ") + list(missing) + " of " +
                           std::to_string(members_.size()) + " within " + std::to_string(world_->timeout_ms) + " ms, says rank " +
                           std::to_string(members_.rank) + "; see what " + (missing.size() > 1 ? "they do" : "it does") +
                           ", or give a longer deadline";
  return CommError(first, what.title(), what.sequence, text);
}

CommError Engine::lost(const Operation& operation, int rank, std::int64_t process) const {
  const Announcement& what = operation.announcement;
  return CommError(rank, what.title(), what.sequence,
                   what.heading() + "rank " + std::to_string(rank) + " (process " + std::to_string(process) + ") has died, says rank " +
                       std::to_string(members_.rank) + "; restart from the newest checkpoint");
}

}  // namespace chorale
