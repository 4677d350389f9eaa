#include <chorale/comm/engine.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include <chorale/comm/patience.hpp>

namespace chorale {
namespace {

/// The caller's side of an operation; outlives neither buffers nor, usefully, the communicator.
class OperationState : public Work::State, public Pooled {
 public:
  OperationState(Engine& engine, std::shared_ptr<Operation> operation) : engine_(engine), operation_(std::move(operation)) {}
  bool advance() override { return operation_->finished || engine_.poll(*operation_); }
  void wait() override {
    if (!operation_->finished) engine_.wait(*operation_);
    if (operation_->error) std::rethrow_exception(operation_->error);
  }

 private:
  Engine& engine_;
  std::shared_ptr<Operation> operation_;
};

}  // namespace

Engine::Engine(const Membership& members, std::shared_ptr<RankWorld> world, std::shared_ptr<const Terms> terms, const NodePage& page,
               int tag, BlockPool& pool)
    : members_(members), world_(std::move(world)), terms_(std::move(terms)), page_(page), tag_(tag), pool_(pool), lookout_(*world_) {
  missing_.reserve(static_cast<std::size_t>(members_.size()));
}

Engine::~Engine() {
  for (const auto& operation : operations_) {
    operation->finished = true;
    operation->error = std::make_exception_ptr(CommError(members_.rank, operation->announcement.title(), operation->announcement.sequence,
                                                         operation->announcement.heading() + "its communicator is gone; wait for a "
                                                                                             "Work before the communicator ends"));
  }
}

Work Engine::post(std::shared_ptr<Operation> operation) {
  operations_.push_back(operation);
  if (poll(*operation) && !operation->error) return Work();
  return Work(std::unique_ptr<Work::State>(new (pool_) OperationState(*this, std::move(operation))));
}

bool Engine::poll(const Operation& operation) {
  if (!operation.finished && world_->abort->is_set()) fail(operation, world_->abort->error());
  if (!operation.finished) run_lanes();
  return operation.finished;
}

std::uint32_t Engine::followers(const Operation& operation, std::span<Operation*> out) const {
  auto at = std::find_if(operations_.begin(), operations_.end(), [&](const auto& each) { return each.get() == &operation; });
  std::uint32_t count = 0;
  for (++at; at != operations_.end() && count < out.size(); ++at) {
    if ((*at)->lane != operation.lane) continue;
    if (!(*at)->small_data) break;
    out[count++] = at->get();
  }
  return count;
}

void Engine::run_lanes() {
  busy_lanes_.clear();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    Operation& operation = *operations_[i];
    const bool blocked = std::find(busy_lanes_.begin(), busy_lanes_.end(), operation.lane) != busy_lanes_.end();
    try {
      operation.finished = !blocked && operation.task.resume();
    } catch (const CommError& error) {
      return fail(operation, error);
    } catch (const std::exception& error) {
      return fail(operation, CommError(members_.rank, operation.announcement.title(), operation.announcement.sequence,
                                       operation.announcement.heading() + "rank " + std::to_string(members_.rank) + ": " + error.what()));
    }
    if (operation.finished) {
      world_->watch.finish(operation.ticket);
      continue;
    }
    if (!blocked) busy_lanes_.push_back(operation.lane);
    if (kept != i) operations_[kept] = std::move(operations_[i]);
    ++kept;
  }
  operations_.resize(kept);
}

void Engine::fail(const Operation& operation, const CommError& error, const std::exception_ptr& shared) {
  const std::string op = error.op;  // `operation` may end below
  (void)operation;
  world_->abort->set(error.rank, op, error.sequence, error.what());
  page_.meeting().tell();
  // Peers may be reading our buffers, which the caller will soon free. Whoever began before the flag was up gets time to end.
  const RankRange node = members_.own_node();
  Patience patience(world_->crowded);
  for (int local = 0; local < node.size(); ++local)
    while (page_.slot(local).touching.load(std::memory_order_seq_cst) != 0 && patience.waited_ms() < 2000) patience.pause();
  tell_other_nodes(error);
  for (const auto& each : operations_) {
    if (!each || each->finished) continue;  // moved or ended by the round that failed
    each->finished = true;
    each->error = shared;
  }
  operations_.clear();
}

void Engine::tell_other_nodes(const CommError& error) {
  const bool leader = members_.rank == members_.own_node().first;
  const bool between = members_.node_count() > 1 && world_->transport && !world_->wire_closed;
  auto collective =
      std::find_if(operations_.begin(), operations_.end(), [](const auto& each) { return each && !each->finished && each->lane == 0; });
  if (!leader || !between || collective == operations_.end() || (*collective)->said_hello) {
    world_->wire_closed = true;
    return;
  }
  Envelope envelope{.announcement = (*collective)->announcement, .rank = error.rank, .failed = 1};
  std::strncpy(envelope.op, error.op.c_str(), sizeof envelope.op - 1);
  std::strncpy(envelope.text, error.what(), sizeof envelope.text - 1);
  const int own = members_.node_of(members_.rank);
  std::vector<std::unique_ptr<Transfer>> sends;
  try {
    for (int node = 0; node < members_.node_count(); ++node) {
      if (node == own) continue;
      const int to = members_.root_ranks[static_cast<std::size_t>(members_.nodes[static_cast<std::size_t>(node)].first)];
      sends.push_back(world_->transport->send(to, tag_, std::as_bytes(std::span(&envelope, 1))));
    }
    // MPI calls a small message sent when it has copied it; it leaves with later calls, and there will be none.
    constexpr int kMaxMs = 200, kNudgeMs = 50;
    Patience patience(true);
    for (auto& send : sends)
      while (!send->test() && patience.waited_ms() < kMaxMs) patience.pause();
    for (patience.restart(); patience.pause(), patience.waited_ms() < kNudgeMs;) world_->transport->nudge();
  } catch (const std::exception&) {  // the wire is what failed; the board has the reason
  }
  world_->wire_closed = true;
}

}  // namespace chorale
