// Runs the operations of one communicator on the thread that waits or polls, and gives every wait its deadline.
// The first failure ends all: it goes to the abort board, every pending operation gets it, and later ones too.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include <chorale/comm/lookout.hpp>
#include <chorale/comm/missed_rank.hpp>
#include <chorale/comm/membership.hpp>
#include <chorale/comm/node_page.hpp>
#include <chorale/comm/operation.hpp>
#include <chorale/comm/patience.hpp>
#include <chorale/comm/rank_world.hpp>
#include <chorale/comm/terms.hpp>

namespace chorale {

/// First of every collective between nodes; also carries the reason when a node gives up.
struct Envelope {
  Announcement announcement;
  std::int32_t rank = 0;  // who speaks, or the rank at fault
  std::int32_t failed = 0;
  std::uint32_t fused = 1;  // operations that the node has come with
  std::uint64_t followers[kMostFused - 1] = {};
  char op[48] = {};
  char text[400] = {};
};

class Engine {
 public:
  Engine(const Membership& members, std::shared_ptr<RankWorld> world, std::shared_ptr<const Terms> terms, const NodePage& page, int tag,
         BlockPool& pool);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Takes the operation in, runs it as far as it goes and returns the caller's hold on it.
  Work post(std::shared_ptr<Operation> operation);
  /// Resumes the first operation of every lane once. True when the given one is finished.
  bool poll(const Operation& operation);
  /// Throws CommError at the deadline, after an abort, on a mismatch, when a peer on this node has died.
  void wait(const Operation& operation);
  /// The operations right behind this one in its lane that may travel with it, in their order; returns how many.
  std::uint32_t followers(const Operation& operation, std::span<Operation*> out) const;
  /// A coroutine says so after each step forward: the deadline counts from the last one.
  void moved() { ++moves_; }
  /// Once the node's ranks can be seen.
  void prepare() { lookout_.prepare(); }

 private:
  void wait_on(const Operation& operation);
  void run_lanes();
  /// Waits for a phase without running anything else. True when it has come.
  bool spin(std::uint64_t phase, Patience& patience) const;
  bool is_one_lane() const;
  bool is_woken_by_bell() const;
  void sleep(const Operation& operation, std::uint64_t moves, Patience& patience);
  /// True when the wait begins anew: who is missing got on.
  bool examine(const Operation& awaited, std::int64_t waited_ms, std::int64_t& next_look_ms);
  bool gets_on(const Operation& operation);
  std::int64_t deadline_ms(const Operation& operation) const;
  /// The other node that stands in the way, or -1.
  int awaited_node(const Operation& operation) const;
  MissedRank overdue(const Operation& operation);
  MissedRank lost(const Operation& operation, int rank, std::int64_t process);
  /// In ranks of the whole world; valid until the next call. Takes no memory: who is late for 20 ms is looked for.
  const std::vector<int>& missing_ranks(const Operation& operation);
  void fail(const Operation& operation, const MissedRank& error) { fail(operation, error, std::make_exception_ptr(error)); }
  void fail(const Operation& operation, const CommError& error) { fail(operation, error, std::make_exception_ptr(error)); }
  void fail(const Operation& operation, const CommError& error, const std::exception_ptr& shared);
  void tell_other_nodes(const CommError& error);

  const Membership& members_;
  std::shared_ptr<RankWorld> world_;
  std::shared_ptr<const Terms> terms_;
  const NodePage& page_;
  int tag_;
  BlockPool& pool_;
  std::vector<std::shared_ptr<Operation>> operations_;
  std::vector<int> busy_lanes_;
  std::uint64_t moves_ = 0;
  Lookout lookout_;
  std::vector<int> missing_;  // of missing_ranks()
};

}  // namespace chorale
