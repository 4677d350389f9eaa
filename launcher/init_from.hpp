// train.init_from: from a run directory, or a file of weights, to the weights that a new run starts with, and the report of what was
// loaded.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/launcher/weight_file.hpp>
#include <chorale/train/settings.hpp>
#include <chorale/train/starting_weights.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

class InitFrom {
 public:
  /// Collective; errors are equal on all ranks. Reads the newest sound checkpoint of the run that options.init_from names, or that
  /// checkpoint: the best weights where it keeps some; or the .safetensors file. Rank 0 says what is loaded. further_features: as
  /// StartingWeights. Throws UsageError where there is no such run or nothing fits, CheckpointError for damage.
  InitFrom(const TrainOptions& options, const Module& model, const Pipeline& pipeline, Communicator& comm, Log& log,
           std::int64_t further_features = 0);
  void write(const FlatParams& params) const { weights_->write(params); }
  /// As summary.json holds it: {"from", "step" (null: of a file), "best_weights", "hash", "loaded", "mapped", "not_loaded", "unused",
  /// "encoded_otherwise"}.
  std::string json() const;

 private:
  WeightSource from_run(const TrainOptions& options);
  std::unique_ptr<WeightFile> file_;        // null: a run's
  std::unique_ptr<Checkpoint> checkpoint_;  // null: a file of another program's
  std::vector<SafetensorsFile> files_;      // which the weights lie in
  std::unique_ptr<StartingWeights> weights_;
  std::string folder_, hash_;
  bool is_best_ = false;
};

/// Throws UsageError for train.init_only alone, and for train.init_map without a file.
void check_init(const TrainOptions& options);

struct StartSetup {
  const TrainOptions& options;
  const Module& model;
  const Pipeline& pipeline;
  Communicator& comm;
  const std::filesystem::path& folder;  // of the run, or of a task
  Log& log;
  std::int64_t further_features = 0;  // as StartingWeights
};
/// Collective: the run of `config` starts with the weights that options.init_from names. Gives what InitFrom::json() says, for the summary
/// and for keep_start(); empty: it starts with what is drawn. A run that resumes from a checkpoint reads no other run, which may be gone,
/// but what the folder has kept. Throws as InitFrom and check_init() do.
std::string start_from(const StartSetup& setup, TrainerConfig& config);
/// Rank 0 writes that text into the folder.
void keep_start(const std::string& init, Communicator& comm, const std::filesystem::path& folder);

/// A run's path in a recipe is relative to it, on the command line to here: absolute from now on.
std::string absolute_run(const std::string& path, const std::string& base);

}  // namespace chorale
