// The contract between ranks, one screen. Every rank calls the same verbs in the same order from one thread at a time;
// only abort() may come from another thread. comm/ moves buffers and knows no models.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/comm/last_seen.hpp>
#include <chorale/core/base/buffer.hpp>

namespace chorale {

class RankWatch;

enum class Reduce : std::uint8_t { sum, max, min, bit_and, bit_or };

/// Names a collective for diagnosis. Ranks compare labels, sizes and types; a mismatch is named on every rank.
struct Label {
  constexpr Label(const char* text) : name(text) {}  // NOLINT: a literal reads best at the call
  std::string_view name;
};

/// A collective under way. Dropping an unfinished Work waits for it.
class Work {
 public:
  class State {
   public:
    virtual ~State() = default;
    virtual bool advance() = 0;  // pushes on without blocking; true when finished
    virtual void wait() = 0;     // blocks the host; throws CommError at the deadline, after an abort, on a mismatch
  };
  Work() = default;  // already finished
  explicit Work(std::unique_ptr<State> state) : state_(std::move(state)) {}
  Work(Work&&) noexcept = default;
  Work& operator=(Work&&) noexcept = default;
  ~Work();
  bool done() { return !state_ || state_->advance(); }
  void wait() {
    if (state_) state_->wait(), state_.reset();
  }

 private:
  std::unique_ptr<State> state_;
};

/// Memory that the backend reduces fastest. On CPUs every rank of the node sees every peer's part.
struct SharedMemory {
  Buffer mine;
  std::vector<Buffer> peers;    // by local rank, mine included; size node().size()
  std::shared_ptr<void> owner;  // unmaps when the last copy goes
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Ranks of this node, ordered as here. Ranks are ordered by (node, local rank).
  virtual Communicator& node() = 0;
  virtual int node_of(int rank) const = 0;
  virtual int node_count() const = 0;
  int node_index() const { return node_of(rank()); }
  /// The host of a rank, as errors name it; empty where all ranks share one node.
  virtual std::string node_name(int rank) const = 0;
  virtual std::string_view backend() const = 0;

  /// Collective over the node; sizes may differ by rank. Zeroed, 64-byte aligned, nothing named anywhere (memfd).
  virtual SharedMemory allocate(std::int64_t elements, DType dtype) = 0;

  // Every verb: all ranks call it, in the same order; it may return before it is done (Work); buffers stay untouched by the caller until
  // then. A peer's failure or the deadline is a CommError{rank, op, sequence} from wait(). Size 1: an identity, never an error. Sums run
  // over ranks in one fixed balanced tree: equal bits on every rank and in every run.

  /// In place. Types f32, f64, bf16 (summed in f32), i32, i64, u8; bit_and and bit_or for integers.
  virtual Work all_reduce(Buffer data, Reduce op, Label label) = 0;
  /// input: size() blocks, block r of counts[r] elements goes to rank r, reduced; output: counts[rank()] elements.
  virtual Work reduce_scatter(Buffer input, Buffer output, std::span<const std::int64_t> counts, Reduce op, Label label) = 0;
  /// output: the inputs of all ranks one after the other, counts[r] elements from rank r (counts equal on all ranks).
  virtual Work all_gather(Buffer input, Buffer output, std::span<const std::int64_t> counts, Label label) = 0;
  /// send_counts[r] elements to rank r, receive_counts[r] from it, both packed in rank order.
  virtual Work all_to_all(Buffer input, std::span<const std::int64_t> send_counts, Buffer output,
                          std::span<const std::int64_t> receive_counts, Label label) = 0;
  virtual Work broadcast(Buffer data, int root, Label label) = 0;
  virtual Work send(Buffer data, int to, Label label) = 0;
  virtual Work recv(Buffer data, int from, Label label) = 0;
  virtual Work barrier(Label label) = 0;

  /// Ranks of equal colour form a communicator, ordered by key, then rank. Collective. It begins with this one's deadlines and no bytes.
  /// name: of the task that its ranks have, before every label of theirs ("returns/gradients"), behind this one's own; at most 31
  /// characters, so that labels keep room. Equal on ranks of equal colour.
  virtual std::unique_ptr<Communicator> split(int color, int key, std::string_view name = {}) = 0;
  /// Unblocks every pending and future Work on all ranks of this process or node with CommError(why). From any thread.
  virtual void abort(const std::string& why) noexcept = 0;
  /// It has been, or something has failed. From any thread.
  virtual bool is_aborted() const = 0;
  /// Deadline of every wait on this communicator and its node(), in milliseconds since the last progress: a chunk that arrived, or an
  /// awaited rank that gets on in an activity that may take long (is_long in presence.hpp).
  virtual void set_timeout_ms(std::int64_t timeout_ms) = 0;
  /// A shorter one while the awaited ranks are in parts of a step, which end soon. set_timeout_ms sets both.
  virtual void set_step_timeout_ms(std::int64_t timeout_ms) = 0;
  /// Where this rank says what it is at; shared by all communicators of the rank.
  virtual RankWatch& watch() = 0;
  /// Who is asked where a rank of another node is, when the deadline passes.
  virtual void on_far_ranks(AskFar ask) = 0;
  /// Bytes that this rank has put on the wire or written for peers by this communicator and its node(), for the formulas of exchanges.
  virtual std::uint64_t bytes_sent() const = 0;
};

/// Bytes of every rank one after the other, in rank order: for states, texts, errors. Collective, blocks.
std::vector<std::vector<std::byte>> all_gather_bytes(Communicator& comm, std::span<const std::byte> mine, Label label);
/// Root's bytes on every rank. Collective, blocks.
std::vector<std::byte> broadcast_bytes(Communicator& comm, std::span<const std::byte> mine, int root, Label label);

/// Registered by each backend. `options` are key=value words (rank, size, timeout_ms).
struct BackendEntry {
  std::string help;
  bool (*is_available)();
};

/// One rank, every collective an identity.
std::unique_ptr<Communicator> make_self_communicator();
/// `size` ranks of one process; element r belongs to the thread of rank r. nodes > 1 cuts them into that many equal nodes, so that the
/// paths between nodes are tested too.
std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int size, int nodes = 1);

}  // namespace chorale
