// A trained run, opened again: recipe, fitted preprocessing, model with its best weights.
#pragma once
#include <memory>
#include <string>

#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/launcher/collab/fused_task.hpp>
#include <chorale/launcher/collab/stitched_task.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/train/data/encoded_file.hpp>
#include <chorale/train/data/prepare.hpp>

namespace chorale {

struct OpenAs {
  std::string missing_rows = "refuse";  // of FusedTask::rows and StitchedPeers::join
  bool own_layers_alone = false;        // of a task: without what its peers have to do with it
};

/// What the rows of a table are about, for a task of a collaboration.
struct RowKeys {
  std::vector<std::vector<EntityId>> entities;  // by column of TrainedRun::request()
  std::vector<std::int32_t> periods;            // as PreparedData
  const EncodedFile* file = nullptr;            // the table, where it is not the run's own
  std::string path = {};                        // of that file
};

struct TrainedRun {
  /// path: a run directory or one of its checkpoints, or the same of one task of a collaboration, RUN/tasks/NAME. Throws UsageError when
  /// there is neither, CheckpointError for damage.
  explicit TrainedRun(const std::string& path, const OpenAs& as = {});
  /// What prepare_data() needs for the run's own rows.
  EntityRequest request() const { return task ? task->request() : EntityRequest(); }
  /// Rows as the model reads them: with what peers have published, for a task that listens; with its peers' rows, of a stitch.
  std::shared_ptr<const Dataset> for_model(std::shared_ptr<const Dataset> rows, const RowKeys& keys);
  /// Of tables; other rows have none.
  RowKeys keys_of(OpenedRows& file, const std::string& path) const;
  /// The table that it was trained on. Throws DataError where the files now hold others.
  PreparedData own_data();
  /// The same of whatever it was trained on.
  DataParts own_parts();
  /// All rows of another file. labels: of arrays, see data.labels. needs_target: to score.
  std::unique_ptr<OpenedRows> open_file(const std::string& file, const std::string& labels, bool needs_target) const;
  /// When rows of another file happened, which a task that listens by period needs of them; else without a column.
  TimeRequest time() const;
  /// How another file is read. needs_target: to score.
  EncodedFileSettings reading(const std::string& file, bool needs_target) const;
  /// "12 of 90 rows are of entities that no peer has published"; empty where the model listens to nobody.
  std::string unseen_text(const Dataset& rows) const;
  void must_be_own(const std::string& identity) const;
  RecipeTable recipe;
  Pipeline pipeline;
  std::unique_ptr<Communicator> comm;
  std::unique_ptr<Session> session;
  AnyModel model;                 // of a task that listens to peers: the fused one, `layers` being its own
  std::optional<FusedTask> task;  // of a collaboration
  std::shared_ptr<const PinnedRows> peers;
  std::unique_ptr<StitchedPeers> stitched;
  std::shared_ptr<Representations> published;  // of data.representations
  std::unique_ptr<Objective> loss;
  std::unique_ptr<FlatParams> params;
  std::vector<Tensor> memory;
  std::unique_ptr<Checkpoint> checkpoint;
  bool best = false;  // the best weights by early stopping, not the last
  OpenAs opened;
};

/// --missing-rows, of the commands that use a run.
void describe_missing_rows(OptionTable& table, std::string& missing_rows);

/// The newest sound checkpoint of a run directory, or the checkpoint itself.
Checkpoint find_checkpoint(const std::string& path, Log& log);

}  // namespace chorale
