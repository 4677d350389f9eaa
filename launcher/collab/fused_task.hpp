// One task of a collaboration, opened again: RUN/tasks/NAME with the rows of its peers that it was trained with.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <chorale/core/base/log.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/train/collab/collab_options.hpp>
#include <chorale/train/collab/pinned_rows.hpp>
#include <chorale/train/data/prepare.hpp>

namespace chorale {

class FusedTask {
 public:
  /// Empty: the path is no task of a collaboration, nor a checkpoint of one. Throws CheckpointError where no sound checkpoint is there.
  static std::optional<FusedTask> open(const std::string& path, Log& log);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const PinnedVersion& version() const { return version_; }
  const std::string& name() const { return name_; }
  /// Of the collaboration.
  const std::filesystem::path& run() const { return run_; }
  /// Whether its peers' layers are part of the model: peers() are the other tasks, number() its place among all.
  bool is_stitched() const;
  const std::vector<std::string>& peers() const { return peers_; }
  int number() const { return number_; }
  const StitchPlan& stitch() const { return stitch_; }
  /// What its rows are about and how they are split, as the collaboration's recipe says.
  const EntityRequest& request() const { return request_; }
  /// What strategies add to the recipe's layers. in: shape of a row.
  void change_layers(Sequential& own, const Shape& in) const;
  /// Of the best weights or of the last ones. missing = zeros: where the rows are gone, or are those of another version, every row of
  /// "shared" is zeros, after a warning. Throws CheckpointError else, with both versions.
  std::shared_ptr<const PinnedRows> rows(bool best, const std::string& missing, Log& log) const;

 private:
  FusedTask(Checkpoint checkpoint, std::filesystem::path folder);
  Checkpoint checkpoint_;
  std::filesystem::path run_;
  std::string name_;
  PinnedVersion version_;
  EntityRequest request_;
  StoreOptions store_;
  TrunkPlan trunk_;
  StitchPlan stitch_;
  std::vector<std::string> peers_;
  int number_ = 0;
};

}  // namespace chorale
