// How an engine waits: who is awaited, how the time is spent, and what is said when nobody comes.
#include <algorithm>
#include <cstdio>
#include <string>

#include <chorale/comm/engine.hpp>
#include <chorale/comm/patience.hpp>

namespace chorale {
namespace {

std::string seconds(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(ms) / 1000);
  return text;
}

}  // namespace

void Engine::wait(const Operation& operation) {
  if (poll(operation)) return;
  world_->watch.wait_for(operation.announcement);
  wait_on(operation);
  world_->watch.waited();
}

void Engine::wait_on(const Operation& operation) {
  Patience patience(world_->crowded);
  std::uint64_t moves = moves_;
  std::int64_t next_look_ms = 0;
  while (!poll(operation)) {
    if (moves != moves_) {
      moves = moves_;
      next_look_ms = 0;
      patience.restart();
      world_->watch.beat();
    }
    const Operation& first = *operations_.front();
    if (first.awaits == Operation::Awaits::node_peers && is_one_lane() && spin(first.phase, patience)) continue;
    const bool asleep = patience.is_sleepy() && is_woken_by_bell();
    if (asleep) sleep(operation, moves, patience);
    if ((asleep || patience.pause()) && examine(operation, patience.waited_ms(), next_look_ms)) patience.restart();
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

std::int64_t Engine::deadline_ms(const Operation& operation) const {
  // Between nodes a little longer: the node where a rank is missing knows its name, and says it first.
  const std::int64_t grace_ms = awaited_node(operation) >= 0 ? std::min<std::int64_t>(1000, terms_->timeout_ms / 2) : 0;
  return (lookout_.is_long() ? terms_->timeout_ms : terms_->step_timeout_ms) + grace_ms;
}

bool Engine::examine(const Operation& awaited, std::int64_t waited_ms, std::int64_t& next_look_ms) {
  // What is in the way is the first of its lane.
  const Operation& operation =
      **std::find_if(operations_.begin(), operations_.end(), [&](const auto& each) { return each->lane == awaited.lane; });
  constexpr std::int64_t kLookEveryMs = 250, kFirstLookMs = 20;  // most waits are over before anybody looks
  if (waited_ms < std::max(next_look_ms, kFirstLookMs)) return false;
  if (next_look_ms > 0 && world_->process.id != 0) {
    const RankRange node = members_.own_node();
    for (int rank = node.first; rank < node.last; ++rank) {
      const ProcessMark process = page_.slot(rank - node.first).process;
      if (rank == members_.rank || !is_gone(process)) continue;
      fail(operation, lost(operation, rank, process.id));
      return false;
    }
  }
  next_look_ms = kLookEveryMs;
  if (gets_on(operation)) return true;
  const std::int64_t deadline = deadline_ms(operation);
  if (waited_ms >= deadline) {
    const MissedRank error = overdue(operation);
    fail(operation, error);
    world_->watch.dump(error.what(), true);
    return false;
  }
  next_look_ms = std::min(waited_ms + kLookEveryMs, deadline);
  return false;
}

bool Engine::gets_on(const Operation& operation) {
  const std::vector<int>& missing = missing_ranks(operation);
  if (!missing.empty()) world_->watch.await(missing[0]);
  return lookout_.gets_on(missing);
}

const std::vector<int>& Engine::missing_ranks(const Operation& operation) {
  const RankRange node = members_.own_node();
  missing_.clear();
  const auto add = [&](int rank) { missing_.push_back(members_.root_ranks[static_cast<std::size_t>(rank)]); };
  const auto add_node = [&](int index) {
    const RankRange ranks = members_.nodes[static_cast<std::size_t>(index)];
    for (int rank = ranks.first; rank < ranks.last; ++rank) add(rank);
  };
  if (operation.awaits == Operation::Awaits::peer) add(operation.awaited);
  if (operation.awaits == Operation::Awaits::other_node) add_node(operation.awaited);
  if (operation.awaits == Operation::Awaits::node_peers) {
    for (int rank = node.first; rank < node.last; ++rank)
      if (page_.slot(rank - node.first).arrived.load(std::memory_order_acquire) < operation.phase) add(rank);
    const int beyond = awaited_node(operation);
    const int leader = members_.root_ranks[static_cast<std::size_t>(node.first)];
    if (missing_.size() == 1 && missing_[0] == leader && beyond >= 0) {  // our leader is here, it waits for another node
      missing_.clear();
      add_node(beyond);
    }
  }
  return missing_;
}

MissedRank Engine::overdue(const Operation& operation) {
  const Announcement& what = operation.announcement;
  const std::vector<int>& missing = missing_ranks(operation);
  const Lookout::Finding found = lookout_.look(missing);
  const std::string text = what.numbered() + ": waiting for " + found.text + ", says rank " + std::to_string(world_->rank) +
                           " at the deadline of " + seconds(deadline_ms(operation)) +
                           " s (watchdog.seconds); restart from the newest checkpoint";
  MissedRank error(missing.empty() ? world_->rank : found.cause, what.title(), what.sequence, text);
  error.is_late = true, error.where = found.where;
  return error;
}

MissedRank Engine::lost(const Operation& operation, int rank, std::int64_t process) {
  const Announcement& what = operation.announcement;
  const std::int64_t kills = world_->watch.memory_kills().count();
  const std::string memory =
      kills > 0 ? ", its memory cgroup counted " + (kills == 1 ? "an oom_kill" : std::to_string(kills) + " oom_kills") : "";
  const int root = members_.root_ranks[static_cast<std::size_t>(rank)];  // a node's own communicator counts from 0
  MissedRank error(root, what.title(), what.sequence,
                   what.heading() + "rank " + std::to_string(root) + " (process " + std::to_string(process) + ") has died" + memory +
                       ", says rank " + std::to_string(world_->rank) + "; restart from the newest checkpoint");
  error.where = lookout_.where(root);  // its page outlives it
  return error;
}

}  // namespace chorale
