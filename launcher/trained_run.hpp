// A trained run, opened again: recipe, fitted preprocessing, model with its best weights.
#pragma once
#include <memory>
#include <string>

#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/recipe_settings.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/train/data/prepare.hpp>

namespace chorale {

struct TrainedRun {
  /// path: a run directory or one of its checkpoints. Throws UsageError when there is neither, CheckpointError for damage.
  explicit TrainedRun(const std::string& path);
  RecipeTable recipe;
  Pipeline pipeline;
  std::unique_ptr<Communicator> comm;
  std::unique_ptr<Session> session;
  AnyModel model;
  std::unique_ptr<Objective> loss;
  std::unique_ptr<FlatParams> params;
  std::vector<Tensor> memory;
  std::unique_ptr<Checkpoint> checkpoint;
  bool best = false;  // the best weights by early stopping, not the last
};

/// The newest sound checkpoint of a run directory, or the checkpoint itself.
Checkpoint find_checkpoint(const std::string& path, Log& log);

}  // namespace chorale
