// The communicator of every CPU backend: ranks of one node work through a shared page, the first rank of every node
// speaks for it to the others. What differs between backends is where shared memory and messages come from.
// One thread at a time; abort() from any.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <chorale/comm/block_pool.hpp>
#include <chorale/comm/communicator.hpp>
#include <chorale/comm/engine.hpp>
#include <chorale/comm/membership.hpp>
#include <chorale/comm/node_page.hpp>
#include <chorale/comm/rank_world.hpp>
#include <chorale/comm/reduction.hpp>
#include <chorale/comm/segments.hpp>
#include <chorale/comm/terms.hpp>

namespace chorale {

class NodeCommunicator final : public Communicator {
 public:
  /// Bytes of the memory that the ranks of `members`' own node share: its page, and that of node() where there are several nodes.
  static std::size_t page_bytes(const Membership& members);
  /// `memory` is zeroed and mapped by all ranks of the node; `id` tells communicators of one root apart on the wire.
  /// terms: null: as a whole world begins.
  NodeCommunicator(Membership members, std::shared_ptr<RankWorld> world, std::shared_ptr<std::byte> memory, int id,
                   std::shared_ptr<Terms> terms = nullptr);

  int rank() const override { return members_.rank; }
  int size() const override { return members_.size(); }
  Communicator& node() override { return node_ ? *node_ : *this; }
  int node_of(int rank) const override { return members_.node_of(rank); }
  int node_count() const override { return members_.node_count(); }
  std::string node_name(int rank) const override;
  std::string_view backend() const override { return world_->backend; }

  SharedMemory allocate(std::int64_t elements, DType dtype) override;
  Work all_reduce(Buffer data, Reduce op, Label label) override;
  Work reduce_scatter(Buffer input, Buffer output, std::span<const std::int64_t> counts, Reduce op, Label label) override;
  Work all_gather(Buffer input, Buffer output, std::span<const std::int64_t> counts, Label label) override;
  Work all_to_all(Buffer input, std::span<const std::int64_t> send_counts, Buffer output, std::span<const std::int64_t> receive_counts,
                  Label label) override;
  Work broadcast(Buffer data, int root, Label label) override;
  Work send(Buffer data, int to, Label label) override;
  Work recv(Buffer data, int from, Label label) override;
  Work barrier(Label label) override;
  std::unique_ptr<Communicator> split(int color, int key, std::string_view name) override;
  void abort(const std::string& why) noexcept override;
  bool is_aborted() const override { return world_->abort->is_set(); }
  void set_timeout_ms(std::int64_t timeout_ms) override { terms_->timeout_ms = terms_->step_timeout_ms = timeout_ms; }
  void set_step_timeout_ms(std::int64_t timeout_ms) override { terms_->step_timeout_ms = std::min(timeout_ms, terms_->timeout_ms); }
  RankWatch& watch() override { return world_->watch; }
  void on_far_ranks(AskFar ask) override { world_->ask_far = std::move(ask); }
  std::uint64_t bytes_sent() const override { return terms_->bytes_sent; }

  /// What its operations are made of.
  BlockPool& pool() const { return *pool_; }

 private:
  using Transfers = PoolVector<std::pair<int, std::unique_ptr<Transfer>>>;  // by other node
  /// Bytes of all ranks one after the other; rank r gives [borders[r], borders[r + 1]).
  struct GatherPlan {
    const std::byte* input;
    std::byte* output;
    PoolVector<std::size_t> borders;
  };
  /// The elements of every rank are reduced; rank r needs [borders[r], borders[r + 1]), or all of them.
  struct ReducePlan {
    const std::byte* input;
    std::byte* output;
    DType dtype;
    Reduce op;
    std::int64_t elements;
    PoolVector<std::int64_t> borders;  // empty when everywhere
    bool everywhere() const { return borders.empty(); }
  };
  /// By rank, borders in bytes: what goes to it and what comes from it.
  struct ExchangePlan {
    const std::byte* input;
    std::byte* output;
    PoolVector<std::size_t> send, receive;
  };
  struct Span {
    std::int64_t first = 0, last = 0;  // elements
    std::int64_t size() const { return last - first; }
  };

  /// Small sums that go by one announcement: the one that is announced and those behind it, each in place.
  struct Fused {
    std::array<Operation*, kMostFused> of;
    std::uint32_t size = 1;
  };
  /// A rank's row of an all_to_all: where its parts for everybody begin and end, then where what it awaits from everybody does.
  struct ExchangeRows {
    const std::uint64_t* of_rank(std::size_t rank) const { return first + rank * 2 * (ranks + 1); }
    std::size_t begin(std::size_t from, std::size_t to) const { return of_rank(from)[to]; }
    std::size_t sent(std::size_t from, std::size_t to) const { return of_rank(from)[to + 1] - of_rank(from)[to]; }
    std::size_t awaited(std::size_t from, std::size_t to) const { return of_rank(to)[ranks + 2 + from] - of_rank(to)[ranks + 1 + from]; }
    const std::uint64_t* first;
    std::size_t ranks;
  };

  template <class T>
  PoolVector<T> list(std::size_t size = 0) const {
    return PoolVector<T>(size, PoolAllocator<T>(*pool_));
  }
  PoolVector<std::size_t> byte_borders(std::span<const std::int64_t> counts, DType dtype) const;
  std::shared_ptr<Operation> operation(Verb verb, DType dtype, Label label);
  std::shared_ptr<Operation> collective(Verb verb, DType dtype, Label label);
  /// Into the flight record; the faults that change what is announced.
  void record(Operation& op);
  /// One rank and no abort: what works in place has nothing to do.
  bool is_alone() const { return members_.size() == 1 && !world_->abort->is_set(); }
  Work start(std::shared_ptr<Operation> op, Task task);

  // Phases of the node (node_phases.cpp).
  void announce(Operation& op, Place place, const Fused* fused = nullptr);
  void enter(Operation& op);
  bool is_here(Operation& op);  // everybody of the node has entered the phase
  void check_node(const Operation& op);
  bool is_direct(const Operation& op) const;
  const std::byte* peer_data(const Operation& op, int local) const;
  Task open(Operation& op, Place place);
  /// `fused`: is cut to what all nodes have come with.
  Task agree_between_nodes(Operation& op, Fused* fused);
  Task finish(Operation& op, Transfers& transfers);
  void post_send(Transfers& to, int rank, const std::byte* data, std::size_t bytes);
  void post_receive(Transfers& from, int rank, std::byte* data, std::size_t bytes);

  // gather_flow.cpp: all_gather and broadcast.
  Task gather_flow(Operation& op, GatherPlan plan);
  Task gather_cells(Operation& op, const GatherPlan& plan);
  Task gather_rounds(Operation& op, const GatherPlan& plan);
  Task spread_board(Operation& op, const GatherPlan& plan, std::size_t first, std::size_t last, std::byte* board);
  // fused_flow.cpp: all_reduce of few bytes.
  static bool is_fusible(std::size_t bytes);
  Task fused_flow(Operation& op);
  void stage_fused(const Fused& fused, std::uint64_t use);
  std::uint32_t fused_in_node(const Operation& op) const;  // what all ranks of the node have come with
  void reduce_fused(const Fused& fused, std::uint64_t use);
  Task exchange_fused(Operation& op, Fused& fused, std::uint64_t use, std::byte* board);
  std::size_t sum_subtrees(const Fused& fused, std::uint64_t use);
  // reduce_flow.cpp: all_reduce and reduce_scatter.
  Task reduce_flow(Operation& op, ReducePlan plan);
  Span part_of(const ReducePlan& plan, int of_rank) const;  // what a rank sums
  bool is_staged(const Operation& op) const;                // nobody's data is visible where it lies
  void reduce_staged(const ReducePlan& plan, std::uint64_t use);
  void reduce_direct(const Operation& op, const ReducePlan& plan);
  // reduce_rounds.cpp: through staging areas.
  Task reduce_rounds(Operation& op, const ReducePlan& plan);
  std::int64_t cell_elements(const ReducePlan& plan) const;
  Span cell_of(const ReducePlan& plan, int of_rank, std::int64_t round) const;
  void stage_round(const ReducePlan& plan, std::int64_t round, std::uint64_t use);
  void reduce_round(const ReducePlan& plan, std::int64_t round, std::uint64_t use, std::byte* board);
  void hand_out_round(const ReducePlan& plan, std::int64_t round, const std::byte* board);
  // reduce_between.cpp: several nodes.
  Task reduce_between(Operation& op, const ReducePlan& plan);
  void reduce_subtrees(const ReducePlan& plan, Span chunk, std::uint64_t use);
  Task exchange_partials(Operation& op, const ReducePlan& plan, Span chunk, std::byte* board);
  // exchange_flow.cpp: all_to_all.
  Task exchange_flow(Operation& op, ExchangePlan plan);
  Task exchange_between(Operation& op, const ExchangePlan& plan);
  void write_row(const ExchangePlan& plan, std::uint64_t* row) const;
  void check_rows(const Operation& op, ExchangeRows rows) const;
  bool is_small(ExchangeRows rows) const;
  void stage_parts(const ExchangePlan& plan, std::byte* cells);
  void exchange_staged(const ExchangePlan& plan, ExchangeRows rows, std::uint64_t use);
  void exchange_direct(const Operation& op, const ExchangePlan& plan, ExchangeRows rows);
  Task exchange_rounds(Operation& op, const ExchangePlan& plan, ExchangeRows rows);
  // message_flow.cpp: send and recv.
  Task send_in_node(Operation& op, Buffer data, int to);
  Task recv_in_node(Operation& op, Buffer data, int from);
  Task send_between(Operation& op, Buffer data, int to);
  Task recv_between(Operation& op, Buffer data, int from);

  BlockPool::Owner pool_ = BlockPool::make();  // first: ends last
  Membership members_;
  std::shared_ptr<RankWorld> world_;
  std::shared_ptr<Terms> terms_;  // shared with node_
  RankRange here_;                // ranks of this node
  int local_ = 0;
  int tag_ = 0;
  FlightScope scope_;
  std::vector<std::vector<RankRange>> subtrees_;  // by node
  NodePage page_;
  std::shared_ptr<Segments> segments_;  // shared with node_
  std::unique_ptr<NodeCommunicator> node_;
  std::uint64_t sequence_ = 0, turn_ = 0, phase_ = 0, stage_use_ = 0, board_use_ = 0;
  std::vector<std::uint64_t> sent_, received_;  // messages by peer
  std::vector<TreeLeaf> leaves_;                // room for one sum
  Engine engine_;
};

}  // namespace chorale
