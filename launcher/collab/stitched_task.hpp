// The other tasks of a stitch, opened beside one of them: their layers up to the stitch, and their rows of the same entities.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <chorale/launcher/collab/fused_task.hpp>
#include <chorale/train/collab/stitched_model.hpp>
#include <chorale/train/data/encoded_file.hpp>

namespace chorale {

struct TrainedRun;

class StitchedPeers {
 public:
  /// With the weights of the task's own step. Throws CheckpointError where a peer has no sound checkpoint of it.
  explicit StitchedPeers(const FusedTask& task);
  ~StitchedPeers();
  std::vector<StitchedModel::Peer> layers() const;
  /// Each peer's row of the same entity, from its own table; of a file that has the peer's columns too, the file's row. entities: by row of
  /// the table that `rows` is of. file: null where that is the run's own. missing_rows = zeros: where a peer has no row its layer counts as
  /// zeros, after a warning; else DataError with the number of rows.
  std::shared_ptr<const Dataset> join(std::shared_ptr<const Dataset> rows, const std::vector<EntityId>& entities, const EncodedFile* file,
                                      const std::string& path, const std::string& missing_rows, Log& log);

 private:
  StitchedRows::Peer in_file(TrainedRun& peer, const std::string& path, const Dataset& rows);
  StitchedRows::Peer in_own_table(TrainedRun& peer, const Dataset& rows, const std::vector<EntityId>& entities);
  std::vector<std::unique_ptr<TrainedRun>> runs_;
  std::vector<std::unique_ptr<EncodedFile>> files_;  // whose rows are in use
};

}  // namespace chorale
