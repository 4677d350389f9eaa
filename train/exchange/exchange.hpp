// How replicas agree and advance: one file each (replicated, shared, sharded, local_sgd). One thread.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/base/trace.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/callback.hpp>
#include <chorale/train/gradient_view.hpp>
#include <chorale/train/snapshot.hpp>
#include <chorale/train/stop.hpp>
#include <chorale/train/worker_tree.hpp>

namespace chorale {

struct LocalSgdOptions {
  std::int64_t steps = 8;
  double outer_lr = 1, outer_momentum = 0;
};

/// Elements [first, first + count) of the arena; borders are borders of blocks.
struct Bucket {
  int index = 0;
  std::int64_t first = 0, count = 0;
};

/// What one virtual worker found: sums, never averages.
struct WorkerReport {
  double loss = 0, weight = 0;
};

/// What ranks say about checkpoints at each step, and what all of them said: any of them.
struct SaveReport {
  bool told = false;     // by all ranks; between the rounds of local SGD nobody tells
  bool wanted = false;   // one is due by rank 0's clock
  bool writing = false;  // a part is still being written
};

/// What a rank says beside its gradients.
struct RankReport {
  Stop stop = Stop::none;  // a signal has reached this rank
  SaveReport save = {};
  Phases phases;  // of its previous step
};

/// Which step it is, equal on all ranks.
struct StepOrder {
  std::int64_t number = 1;  // of updates, from 1
  bool settle = false;      // afterwards parameters and state of all replicas are to be equal: evaluation, checkpoint, end
};

/// What all ranks know after a step, equal everywhere.
struct StepOutcome {
  double loss = 0, weight = 0;  // sums over the global batch, in tree order; local SGD: over the round that this step ends, else 0
  Stop stop = Stop::none;
  SaveReport save = {};
  std::int64_t bad_worker = -1;  // the first whose loss or weight is not finite; nothing was updated then
  std::int64_t bad_step = 0;     // the update that it was found in
  double communicate_ms = 0, update_ms = 0;
};

struct Carried {
  std::string name;
  Buffer values;
  bool is_private;  // else one copy a node
};

/// Where finished buckets go during backward: an exchange, or a thread that hands them to one.
class BucketSink {
 public:
  virtual ~BucketSink() = default;
  /// During backward, in index order; may start communication.
  virtual void bucket_ready(const Bucket& bucket) = 0;
  /// Pushes on what needs no waiting. True while something is under way that a later call could push on.
  virtual bool advance() = 0;
};

class Exchange : public BucketSink {
 public:
  /// Starts a step: where the sums over each of this rank's subtrees (maximal_subtrees) are to be written.
  virtual std::span<const Buffer> begin() = 0;
  /// Gradients agreed and parameters updated when it returns. Collective. reports: of this rank's workers, in order.
  virtual StepOutcome step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                           const RankReport& mine) = 0;
  /// Previous steps' phases of every rank, after step().
  virtual const std::vector<Phases>& phases() const = 0;
  /// Bytes of gradients and parameters that this rank puts on the wire between nodes in a step; reports, of a fixed size, come on top.
  virtual std::uint64_t bytes_per_step() const = 0;
  /// Afterwards every node has all of the optimiser's state, and of what carried() names (checkpoints). Collective.
  virtual void gather_state(Optimizer& optimizer) = 0;
  /// What gather_state() has brought here is no longer needed: its memory may go. Collective.
  virtual void release_state(Optimizer& optimizer) = 0;
  /// State of its own, in the arena's layout, that a checkpoint must carry.
  virtual std::vector<Carried> carried() const = 0;
};

struct ExchangeSetup {
  Communicator& comm;
  FlatParams& params;
  Snapshot& snapshot;  // told before anything that a checkpoint holds is overwritten
  std::int64_t virtual_workers;
  std::vector<Bucket> buckets;
  DType wire = DType::f32;              // between nodes: f32 or bf16
  std::span<const Buffer> copies = {};  // by local rank: the parameters that it reads and writes; empty: its own
  LocalSgdOptions local = {};
  Trace* trace = nullptr;
  OnGradients on_gradients = {};  // not with local_sgd, whose ranks agree on no gradient
};

/// In the Registry under the name of parallel.exchange.
struct ExchangeEntry {
  std::string help;
  bool private_parameters = false;  // every rank has its own copy of parameters and state; else a node has one
  bool same_bits = true;            // as every other such exchange with equal virtual workers
  std::unique_ptr<Exchange> (*make)(const ExchangeSetup& setup);
};

/// Cuts the arena into buckets of about `bucket_bytes`, on borders of blocks.
std::vector<Bucket> plan_buckets(const FlatParams& params, std::int64_t bucket_bytes);

}  // namespace chorale
