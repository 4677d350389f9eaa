// Everything that makes one task of a collaboration out of a model and its rows: who publishes and listens, the store, the fused model,
// data sets with what was fetched, and the hook that the trainer calls.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/train/collab/collab_options.hpp>
#include <chorale/train/collab/leaks.hpp>
#include <chorale/train/collab/sharing.hpp>
#include <chorale/train/collab/task_info.hpp>

namespace chorale {

class GuardNews;

class CollabTask {
 public:
  struct Setup {
    Communicator& sharing;  // all ranks of all tasks
    Communicator& task;     // this task's
    const std::vector<TaskInfo>& tasks;
    int number;  // of this rank's task
    TaskRows rows;
    std::unique_ptr<Sequential> own;
    std::function<std::unique_ptr<Sequential>()> another;  // makes more such: for models of peers, and of controls
    Loss& loss;
    Device& device;
    DType dtype;
    std::int64_t virtual_workers;
    CollabOptions options;
    std::function<Stop()> wants_stop = {};
    std::function<void(std::int64_t tick, bool is_good)> on_saved = {};                   // as Sharing::Parts
    std::function<void(const TickNews&)> on_news = {};                                    // on rank 0 of `sharing`, at ticks
    Log* log = nullptr;                                                                   // rank 0 of the task says what it has found
    std::function<std::string(std::size_t task, const std::string& kind)> place_of = {};  // "a.csv, column 'id'": of keys, for messages
  };
  /// Collective over all tasks; errors are equal on all ranks. Throws UsageError for a strategy that there is not, or that these tasks
  /// cannot do; where vectors are shared, UsageError where no two tasks have a kind of entity in common, DataError where two that have one
  /// share no entity.
  explicit CollabTask(Setup setup);

  ~CollabTask();
  FusedModel& model() { return *model_; }
  Sharing& hook() { return *sharing_; }
  /// Null where no strategy needs vectors by entity.
  Store* store() { return store_.get(); }
  const FetchedRows* fetched() const { return fetched_.get(); }
  std::shared_ptr<const Dataset> train() const { return train_; }
  std::shared_ptr<const Dataset> validation() const { return validation_; }
  std::shared_ptr<const Dataset> test() const { return test_; }
  /// Entities of the test part that a task which is heard here trains on, with labels; -1: nothing is heard.
  std::int64_t test_entities_peers_trained_on() const { return trained_by_peers_; }
  /// What was found of peers that say the label, on rank 0 of the task where there is a log: presence at the start, vectors when they are
  /// first used. Each has been a warning.
  const std::vector<Leak>& leaks() const { return leaks_; }
  /// When the run is over: what was not worth a line each time.
  void say_end();
  /// The exporter's own head counts with 0.3, as docs/collaborative.md says.
  std::vector<Aim> aims() const;
  /// That this rank has sent for sharing, beside those of Setup::sharing itself.
  std::uint64_t bytes_sent() const;
  /// As Affinity::matrix().
  std::vector<double> affinity() const { return affinity_->matrix(); }

 private:
  TaskNews news() const;
  void choose();
  // task_store.cpp
  struct Wish;  // a source that this task will hear
  void make_store(const Setup& setup);
  std::vector<Wish> wishes(int number) const;
  bool check_room(const Setup& setup, const Publisher& own, const std::vector<Wish>& wishes) const;
  std::vector<FetchSource> sources_of(const Setup& setup, const std::vector<Wish>& wishes, const std::vector<KeyPlaces>& places) const;
  std::string pinned() const;  // of PinnedVersion
  std::int64_t folds() const;
  std::shared_ptr<const Dataset> with_folds(std::shared_ptr<const Dataset> rows) const;
  void make_model(Setup& setup, bool is_new);
  void make_publication(Setup& setup);
  std::vector<std::unique_ptr<Strategy>> make_strategies(const Setup& setup);
  Communicator& own_communicator(const Setup& setup, const std::string& name);
  std::vector<std::int64_t> validation_entities() const;
  std::function<void(const std::string&)> speaker(const Setup& setup) const;
  std::function<void(const GuardEvent&)> guard_speaker(const Setup& setup);
  std::function<void()> leak_seeker(const Setup& setup);
  void warn_of(const std::vector<Leak>& leaks, const std::string& me, Log& log);
  Registry registry_;
  std::vector<StrategyEntry> entries_;  // of the strategies, in their order
  bool has_vectors_ = false, has_fusion_ = false, has_exporters_ = false;
  std::vector<TaskInfo> tasks_;
  int number_;                      // of this task
  std::vector<std::string> kinds_;  // of this task's entities
  TaskRows rows_;
  CollabOptions options_;
  std::int64_t outputs_ = 1;
  std::vector<std::int64_t> validation_entities_;
  std::vector<std::unique_ptr<Communicator>> communicators_;  // of the store and of each strategy
  std::vector<EntityIndex> indexes_;                          // by kind
  std::int64_t trained_by_peers_ = -1;
  std::vector<Leak> leaks_;
  std::unique_ptr<GuardNews> guard_news_;             // null: nobody listens
  std::vector<int> publisher_of_;                     // by task: in the store; -1: none
  std::vector<std::vector<std::int32_t>> published_;  // by kind, by row of the table: place among the keys that it publishes of
  std::vector<std::vector<std::int32_t>> shuffled_;   // by publisher, for that control
  std::unique_ptr<Store> store_;
  std::unique_ptr<FetchedRows> fetched_;
  std::unique_ptr<FusedModel> model_;
  FoldExporters* fold_exporters_ = nullptr;  // of the model; null: it publishes from its own layers
  struct Untrained;
  std::unique_ptr<Untrained> untrained_;
  std::unique_ptr<Publication> publication_;
  std::unique_ptr<Affinity> affinity_;
  std::shared_ptr<const Dataset> train_, validation_, test_;
  std::unique_ptr<Sharing> sharing_;
};

}  // namespace chorale
