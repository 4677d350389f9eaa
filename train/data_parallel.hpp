// Replicas that agree and advance: the arena's memory, the exchange and the reducer of one rank. Knows an arena and an optimiser, neither a
// model nor data.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <chorale/core/base/log.hpp>
#include <chorale/train/arena_memory.hpp>
#include <chorale/train/bucket_plan.hpp>
#include <chorale/train/communication_thread.hpp>
#include <chorale/train/exchange_trial.hpp>
#include <chorale/train/reducer.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// One thread a rank calls it; every call is collective. Between ready() and step() the communicator may be a thread's of its own.
class DataParallel {
 public:
  struct Parts {
    Communicator& comm;
    FlatParams& params;
    Optimizer& optimizer;
    const Registry& registry;
    Log& log;
    ParallelOptions options = {};
    Trace* trace = nullptr;
    std::function<int(int local_rank)> domain_of = {};  // NUMA domain of this rank, where the caller knows better than the system
    TrialPace pace = {};                                // of exchange = auto
    OnGradients on_gradients = {};                      // empty: nobody sees gradients before the update
    std::function<void()> between_layers = {};          // in backward, where no thread of its own communicates meanwhile; does not wait
  };
  /// Allocates zeroed parameters and state and binds them.
  explicit DataParallel(const Parts& parts);
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Who writes values that all ranks know alike (initialising, restoring): everybody where copies are private, else one rank a node.
  bool fills() const { return memory_->is_private() || parts_.comm.node().rank() == 0; }
  /// Where ranks fill together: this one's part of its parameters, and of the state.
  Writers writers_of_values() const { return memory_->writers_of_values(); }
  Writers writers_of_state() const { return memory_->writers_of_state(); }
  /// After filling: all ranks see what was written, in every copy of the parameters.
  void filled() { memory_->spread_filled(); }
  /// Once the number of virtual workers is known, before the first step. passes: of backward, that each makes in a step.
  void start(std::int64_t virtual_workers, std::int64_t passes = 1);

  /// After what it agreed on was overwritten (a checkpoint was read again): the exchange begins anew.
  void restart() { use(name_); }
  /// A second arena (best weights), one copy a node.
  Buffer allocate_copy();
  void keep(Buffer copy) { overwrite(copy, parts_.params.values(), node_writers()); }
  /// The optimiser's average of the parameters becomes what they are now; before the first step, after filling.
  void begin_average();
  /// The parameters become their average, where the trainable ones are concerned.
  void use_average();
  /// The last segment's new values, which all ranks know alike; between steps, when no rank reads the old ones any more.
  void write_buffers(Buffer values);
  void write_back(Buffer copy) { overwrite(parts_.params.values(), copy, memory_->writers_of_values()); }
  /// Before a checkpoint: afterwards every node has all state.
  void gather_state() { exchange_->gather_state(parts_.optimizer); }
  /// After it: a node needs its own again.
  void release_state() { exchange_->release_state(parts_.optimizer); }

  /// Starts a step: where this rank's sums over each of its subtrees are to be written.
  std::span<const Buffer> begin();
  /// Gradients that become ready from now on are final. Only where a rank has a single worker.
  void last_pass() { reducer_->begin(sink()); }
  /// The gradient of entry i of the arena is complete.
  void ready(std::size_t i) { reducer_->ready(i); }
  StepOutcome step(StepOrder order, std::span<const WorkerReport> reports, const RankReport& mine);
  /// Between begin() and step() this rank has met an error that others do not have. What it awaits from others must not be waited
  /// for while the stack unwinds: two ranks that do so would wait for each other until the deadline.
  /// Afterwards the communicator is the caller's.
  void fail(const std::string& why) noexcept;

  bool overlaps() const { return parts_.comm.node_count() > 1; }
  const std::vector<Phases>& phases() const { return exchange_->phases(); }
  std::uint64_t bytes_per_step() const { return exchange_->bytes_per_step(); }
  /// "a and b": the two nodes whose link was the slowest when it was measured; empty on one node.
  std::string slowest_link() const;
  std::vector<Carried> carried() const { return exchange_->carried(); }
  std::vector<Held> held() const { return exchange_->held(); }
  /// Candidates of `auto` take turns for the first time.
  bool is_trying() const { return trial_ && !trial_->has_chosen(); }
  /// Replicas may differ between the steps that settle.
  bool drifts() const { return !entry(name_).same_bits; }
  /// What a checkpoint still needs of parameters, state and copies: told before any of it is overwritten.
  Snapshot& snapshot() { return snapshot_; }
  /// Every rank has its own parameters and state; else a node has one.
  bool has_private_state() const { return memory_->is_private(); }
  /// The exchange in use.
  const std::string& name() const { return name_; }
  /// What it means that a checkpoint of `exchange` is gone on from with this one, in words; empty: nothing, or the name is not known.
  std::string change_from(const std::string& exchange) const;
  /// The exchange in use and why.
  const std::string& text() const { return text_; }
  /// How many copies of the parameters a node has and why.
  std::string copies_text() const;
  /// Who carries buckets during backward, and why; empty where nothing is to be carried.
  const std::string& overlap_text() const { return overlap_text_; }

 private:
  std::vector<std::string> candidates(const std::string& exchange);
  void overwrite(Buffer to, Buffer from, Writers writers);
  Writers node_writers() const { return {parts_.comm.node().rank(), parts_.comm.node().size()}; }
  std::unique_ptr<ArenaMemory> allocate_for(const std::string& exchange) const;
  const ExchangeEntry& entry(const std::string& exchange) const;
  void use(const std::string& exchange);
  void say_idle() const;
  void choose_overlap(std::int64_t passes);
  BucketSink& sink() { return thread_ ? static_cast<BucketSink&>(*thread_) : *exchange_; }
  void gradient_ready(std::size_t i);
  void hand_over(const Exchange& before);
  void after_step(double backward_ms);
  void say(const std::string& text, const std::string& what) const;

  Parts parts_;
  std::optional<ExchangeTrial> trial_;
  std::string name_, text_, overlap_text_;
  std::int64_t workers_ = 0, steps_ = 0;
  bool in_step_ = false, has_thread_ = false, has_free_core_ = false;
  double backward_ms_ = 0;
  LinkSpeed link_;
  CopyPlan copy_plan_;
  std::unique_ptr<ArenaMemory> memory_;
  Snapshot snapshot_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<CommunicationThread> thread_;  // after the exchange, which it calls; null: buckets leave between layers
  std::unique_ptr<Reducer> reducer_;
  std::vector<Bucket> buckets_;
  std::vector<SharedMemory> copies_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace chorale
