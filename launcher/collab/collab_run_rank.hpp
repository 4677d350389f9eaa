// A rank's view of a collaboration: which task it trains, with what data, plan and model, and where that is written. run_collab_rank()
// makes one. Sources by what they are about: collab_run_start.cpp the start (data, folder, plan), collab_run_training.cpp what trainer and
// sharing are made of, collab_run.cpp the run itself and its end.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <chorale/launcher/collab/collab_pace.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/collab_run.hpp>
#include <chorale/launcher/collab/sharing_log.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/train/collab/collab_checkpoint.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

/// One thread. Every call is collective over all tasks, unless it is const.
class CollabRank {
 public:
  CollabRank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options);
  /// The run's exit code. Throws what run_collab_rank() does.
  int train();

 private:
  int train(CollabTask& task, const LayerParts& parts, RunFiles& files);
  /// What each task came to, in one summary; the run's exit code.
  int finish(CollabTask& task, const Summary& summary, double seconds);
  Summary stopped_before_start(Stop stop) const;
  CollabPosition position(std::int64_t tick, std::int64_t own_steps) const;

  void read_data();
  void make_folder();
  void plan();
  /// On copies that are thrown away. All tasks measure at once, as they will train.
  double trial_step_ms();
  CollabCheckpoints::Setup checkpoint_setup();

  LayerParts build() const;
  TrainerConfig config(bool trial) const;
  CollabTask::Setup setup(std::unique_ptr<Sequential> own, Loss& loss);
  TrainerParts trainer_parts(CollabTask& task, const LayerParts& parts);
  std::int64_t first_tick() const;
  /// Of the task's own steps.
  std::int64_t last_tick() const;
  /// Of early stopping, in evaluations.
  std::int64_t patience() const;

  Communicator& world_;
  const CollabRecipe& recipe_;
  RunDirectory& run_;
  LastWord& last_;
  std::filesystem::path folder_;
  CollabRunOptions options_;
  std::vector<TaskInfo> infos_;
  std::vector<int> task_of_;
  std::size_t number_;
  const Settings& settings_;
  std::unique_ptr<Communicator> comm_, sharing_;
  Session session_;
  std::filesystem::path task_folder_;
  SharingLog log_of_ticks_;
  bool begins_late_;
  CollabCheckpoints checkpoints_;
  std::optional<CollabPosition> resumed_;
  std::function<void(std::int64_t, bool)> on_saved_;
  PreparedData data_;
  TaskRows rows_;
  CollabPace pace_;
  std::string init_;  // what weights the task started with; empty: those drawn
};

}  // namespace chorale
