#include <chorale/launcher/collab/stitched_task.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/trained_run.hpp>

namespace chorale {

StitchedPeers::StitchedPeers(const FusedTask& task) {
  for (const std::string& peer : task.peers()) {
    const std::filesystem::path folder = task.run() / "tasks" / peer / "checkpoints" / checkpoint_name(task.checkpoint().manifest().step);
    if (!std::filesystem::exists(folder))
      throw CheckpointError(folder.string() + ": is gone, and with it the layers of " + peer + " that task " + task.name() +
                            " computes with; bring it back");
    runs_.push_back(std::make_unique<TrainedRun>(folder.string(), OpenAs{.own_layers_alone = true}));
  }
}

StitchedPeers::~StitchedPeers() = default;

std::vector<StitchedModel::Peer> StitchedPeers::layers() const {
  std::vector<StitchedModel::Peer> out;
  for (const auto& run : runs_) out.push_back({run->task->name(), run->model.layers});
  return out;
}

StitchedRows::Peer StitchedPeers::in_file(TrainedRun& peer, const std::string& path, const Dataset& rows) {
  files_.push_back(std::make_unique<EncodedFile>(peer.pipeline, peer.reading(path, false), *peer.comm, peer.session->log));
  std::vector<std::int64_t> same(static_cast<std::size_t>(rows.rows()));
  for (std::int64_t row = 0; row < rows.rows(); ++row) same[static_cast<std::size_t>(row)] = rows.row_id(row);
  return {peer.task->name(), files_.back()->shared_rows(), std::move(same)};
}

StitchedRows::Peer StitchedPeers::in_own_table(TrainedRun& peer, const Dataset& rows, const std::vector<EntityId>& entities) {
  const PreparedData data = peer.own_data();
  std::unordered_map<EntityId, std::int64_t> place;
  for (std::size_t row = 0; row < data.entities[0].size(); ++row)
    if (data.entities[0][row] != kNoEntity) place.emplace(data.entities[0][row], static_cast<std::int64_t>(row));
  std::vector<std::int64_t> of_row(static_cast<std::size_t>(rows.rows()), -1);
  for (std::int64_t row = 0; row < rows.rows(); ++row)
    if (const auto it = place.find(entities[static_cast<std::size_t>(rows.row_id(row))]); it != place.end())
      of_row[static_cast<std::size_t>(row)] = it->second;
  return {peer.task->name(), task_rows(data).all, std::move(of_row)};
}

std::shared_ptr<const Dataset> StitchedPeers::join(std::shared_ptr<const Dataset> rows, const std::vector<EntityId>& entities,
                                                   const EncodedFile* file, const std::string& path, const std::string& missing_rows,
                                                   Log& log) {
  std::vector<StitchedRows::Peer> peers;
  for (const auto& run : runs_) {
    const bool is_there = file && file->has_columns(run->pipeline);
    peers.push_back(is_there ? in_file(*run, path, *rows) : in_own_table(*run, *rows, entities));
    const std::vector<std::int64_t>& of_row = peers.back().of_row;
    const auto missing = std::count(of_row.begin(), of_row.end(), -1);
    if (missing == 0) continue;
    const std::string what = fmt::format("{} of {} rows are of entities that task {} has no row of, whose layers this one computes with",
                                         missing, of_row.size(), run->task->name());
    if (missing_rows != "zeros")
      throw DataError(what + "; give a file that has its columns too, or --missing-rows zeros for zeros in their place");
    log.warning(what + "; its layers count as zeros there");
  }
  return std::make_shared<StitchedRows>(std::move(rows), std::move(peers));
}

}  // namespace chorale
