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
#include <chorale/train/collab/sharing.hpp>

namespace chorale {

enum class TaskRole : std::uint8_t { both, peer, target };
std::string_view name(TaskRole role);
/// Throws UsageError with the three names.
TaskRole parse_role(std::string_view text);

/// Equal on all ranks of the world.
struct TaskInfo {
  std::string name;
  TaskRole role = TaskRole::both;
  std::vector<std::string> kinds;  // of entities
  std::int64_t ranks = 1;
  bool publishes() const { return role != TaskRole::target; }
  bool listens() const { return role != TaskRole::peer; }
};

/// One task's rows. Row numbers of `entities` are those of the table; the data sets' row_id() gives them.
struct TaskRows {
  std::shared_ptr<const Dataset> train, validation, test, all;           // all: every row of the table, once
  std::vector<std::vector<EntityId>> entities;                           // by kind, by row of the table
  std::vector<std::int32_t> periods = {};                                // by row of the table; empty: without time
  std::int32_t scale_before = std::numeric_limits<std::int32_t>::max();  // as Publisher
};

/// What a study holds a collaboration against.
enum class Control : std::uint8_t {
  none,
  matched,    // in place of peers' vectors a projection of the row's own features
  shuffled,   // vectors of other entities
  untrained,  // vectors of exporters that have learnt nothing
};

struct CollabOptions {
  std::int64_t width = 8;
  double keep = 0;               // as StoreOptions
  bool exports_features = true;  // as FusionOptions
  SharingPlan plan;
  bool guard = true;
  Control control = Control::none;
  std::uint64_t control_seed = 1;  // of what a control draws
};

class CollabTask {
 public:
  struct Setup {
    Communicator& sharing;  // all ranks of all tasks
    Communicator& task;     // this task's
    const std::vector<TaskInfo>& tasks;
    int number;  // of this rank's task
    TaskRows rows;
    std::unique_ptr<Sequential> own;
    std::unique_ptr<Sequential> untrained = {};  // another such, for that control
    Loss& loss;
    Device& device;
    DType dtype;
    std::int64_t virtual_workers;
    CollabOptions options;
    std::function<Stop()> wants_stop = {};
    std::function<void(std::int64_t tick, bool is_good)> on_saved = {};  // as Sharing::Parts
    Log* log = nullptr;                                                  // rank 0 of the task says what it has found
  };
  /// Collective over all tasks; errors are equal on all ranks. Throws UsageError where no two tasks have a kind of entity in common,
  /// DataError where two that have one share no entity.
  explicit CollabTask(Setup setup);

  ~CollabTask();
  FusedModel& model() { return *model_; }
  Sharing& hook() { return *sharing_; }
  Store& store() { return *store_; }
  const FetchedRows* fetched() const { return fetched_.get(); }
  std::shared_ptr<const Dataset> train() const { return train_; }
  std::shared_ptr<const Dataset> validation() const { return validation_; }
  std::shared_ptr<const Dataset> test() const { return test_; }
  /// Entities of the test part that a task which is heard here trains on, with labels; -1: nothing is heard.
  std::int64_t test_entities_peers_trained_on() const { return trained_by_peers_; }
  /// The exporter's own head counts with 0.3, as docs/collaborative.md says.
  std::vector<Aim> aims() const;

 private:
  std::vector<std::int64_t> validation_entities(const Setup& setup) const;
  std::function<void(const GuardEvent&)> guard_speaker(const Setup& setup) const;
  std::vector<Publisher> gather_publishers(const Setup& setup) const;
  std::vector<FetchSource> sources_of(const Setup& setup) const;
  std::vector<EntityIndex> indexes_;  // by kind
  std::int64_t trained_by_peers_ = -1;
  std::vector<int> publisher_of_;  // by task: in the store; -1: none
  std::unique_ptr<Store> store_;
  std::unique_ptr<FetchedRows> fetched_;
  std::unique_ptr<FusedModel> model_;
  struct Untrained;
  std::unique_ptr<Untrained> untrained_;
  std::shared_ptr<const Dataset> train_, validation_, test_;
  std::unique_ptr<Sharing> sharing_;
};

/// Number of the task that each rank of the world trains, tasks in their order on consecutive ranks. Throws UsageError where ranks do not
/// add up to `world`.
std::vector<int> lay_out(const std::vector<TaskInfo>& tasks, int world);

}  // namespace chorale
