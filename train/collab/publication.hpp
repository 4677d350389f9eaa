// One task's vectors by entity: it publishes what its exporter makes of the rows it sees and sweeps over, and fetches what its peers have
// published.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/fold_exporters.hpp>
#include <chorale/train/collab/fetched_rows.hpp>
#include <chorale/train/collab/store.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

/// One thread a rank.
class Publication {
 public:
  struct Parts {
    Communicator& task;  // the ranks of this task
    Store& store;
    FusedModel& model;
    Device& device;
    DType dtype;
    FusedModel* untrained = nullptr;                  // a control: what publishes, by the sweep alone, in the model's place
    FoldExporters* folds = nullptr;                   // they make the vectors, and `all` has "folds"; null: the model does
    FetchedRows* fetched = nullptr;                   // null: the task does not listen
    int publisher = -1;                               // in the store; -1: it does not publish
    std::shared_ptr<const Dataset> train, all;        // all: every row of the table
    std::vector<std::vector<std::int32_t>> entities;  // by kind, by row of the table: position among the publisher's ids; -1: none
    std::int64_t virtual_workers = 1;
    std::int64_t sweep_ticks = 10;  // a sweep over all rows of the table takes so many ticks; 0: no sweep
    double clip = 0, noise = 0;     // as EntitySums::bound()
    std::uint64_t noise_seed = 1;
  };
  explicit Publication(Parts parts);

  void on_results(const WorkerPass& pass);
  /// Collective over all tasks: what was posted is in the store, and fetched where the task hears.
  void complete(bool hears);
  /// Forward over all rows of this tick's part of the keys of the first kind, where the task publishes. Ticks count from 1.
  void sweep(std::int64_t tick);
  /// The same over part `part` of `parts`. What is swept between two posts must be swept in the order of parts.
  void sweep_part(std::int64_t part, std::int64_t parts);
  /// What was seen since the last post is of weights that the task has left.
  void drop_seen();
  /// Collective over all tasks: begins to send what this rank has seen since the last post. publishes: false: nothing.
  void post(std::int64_t tick, bool publishes);
  Store& store() { return parts_.store; }
  FetchedRows* fetched() { return parts_.fetched; }

 private:
  void add_waiting();
  template <class T>
  void add_row(std::int64_t table_row, std::int32_t part, const T* vector);
  void order_sweep();
  Parts parts_;
  std::vector<std::int64_t> order_;   // rows of `all` that have an entity, those of one key of the first kind together
  std::vector<std::int64_t> starts_;  // in it, of each key, and its end
  EntitySums seen_;
  std::int64_t chunks_ = 0;  // of sweeps since the last post
  // What batches gave lies here in their order until a tick, or until there is much of it: adding it up at once would meet cold caches
  // at every row of every step.
  struct Rows {
    std::int32_t worker;
    std::size_t count;
  };
  std::vector<Rows> passes_;
  std::vector<std::int64_t> rows_;  // in the training part
  std::vector<float> vectors_;      // [rows, width of the exporter's results]
};

}  // namespace chorale
