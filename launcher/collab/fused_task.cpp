#include <chorale/launcher/collab/fused_task.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/train/collab/collab_checkpoint.hpp>
#include <chorale/train/collab/task_scale.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

bool is_of_collaboration(const fs::path& folder) {
  const fs::path run = folder.parent_path().parent_path();
  return folder.parent_path().filename() == "tasks" && fs::exists(run / "recipe.resolved.ini") && fs::is_directory(folder / "checkpoints");
}

std::string pinned_text(const Checkpoint& checkpoint) {
  const auto fields = nlohmann::json::parse(checkpoint.manifest().fields);
  if (!fields.contains("pinned"))
    throw CheckpointError(checkpoint.folder().string() +
                          ": does not say which rows of its peers it was trained with; it was written by an older program");
  return fields.at("pinned").dump();
}

/// Of the task's folder: the tick of all tasks that holds this checkpoint. A task that has ended has one in many ticks.
std::optional<std::int64_t> tick_of(const fs::path& folder, const Checkpoint& checkpoint) {
  const fs::path run = folder.parent_path().parent_path();
  const std::int64_t own = PinnedVersion::from_json(pinned_text(checkpoint)).tick;
  if (fs::exists(run / "checkpoints" / checkpoint_name(own))) return own;
  CollabRecipe recipe;
  recipe.declare_tasks_of((run / "recipe.resolved.ini").string());
  for (std::size_t t = 0; t < recipe.sections.size(); ++t)
    if (recipe.sections[t]->name == folder.filename().string()) return tick_with(run, t, checkpoint.manifest().step);
  return std::nullopt;
}

/// The newest that a tick of all tasks names; where none does, the newest.
Checkpoint newest_named(const fs::path& folder, Log& log) {
  const std::vector<std::int64_t> steps = list_checkpoints(folder / "checkpoints").steps;
  for (std::size_t i = steps.size(); i-- > 0;) {
    try {
      Checkpoint checkpoint = open_step(folder / "checkpoints", steps[i]);
      if (tick_of(folder, checkpoint)) return checkpoint;
    } catch (const CheckpointError& e) {
      log.error(e.what());
    }
  }
  auto newest = newest_valid_checkpoint(folder / "checkpoints", log);
  if (!newest) throw UsageError(folder.string() + ": holds no checkpoint; has its collaboration made one?");
  return *newest;
}

}  // namespace

std::optional<FusedTask> FusedTask::open(const std::string& path, Log& log) {
  fs::path folder = fs::absolute(path).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  if (fs::exists(folder / "manifest.json")) {
    const fs::path task = folder.parent_path().parent_path();
    if (!is_of_collaboration(task)) return std::nullopt;
    return FusedTask(open_checkpoint(folder), task);
  }
  if (!is_of_collaboration(folder)) return std::nullopt;
  return FusedTask(newest_named(folder, log), folder);
}

FusedTask::FusedTask(Checkpoint checkpoint, fs::path folder)
    : checkpoint_(std::move(checkpoint)), run_(folder.parent_path().parent_path()), name_(folder.filename().string()) {
  version_ = PinnedVersion::from_json(pinned_text(checkpoint_));
  CollabRecipe recipe;
  const std::string path = (run_ / "recipe.resolved.ini").string();
  recipe.declare_tasks_of(path);
  recipe.read(path);
  recipe.resolve(path);
  store_ = {.keep = 1 - recipe.settings.beta, .wire = parse_row_wire(recipe.settings.wire)};
  trunk_ = recipe.settings.trunk, stitch_ = recipe.settings.stitch;
  const auto section = std::find_if(recipe.sections.begin(), recipe.sections.end(), [&](const auto& s) { return s->name == name_; });
  if (section == recipe.sections.end()) throw CheckpointError(path + ": has no task " + name_);
  number_ = static_cast<int>(section - recipe.sections.begin());
  request_ = recipe.request(static_cast<std::size_t>(number_));
  for (const auto& other : recipe.sections)
    if (other->name != name_) peers_.push_back(other->name);
}

bool FusedTask::is_stitched() const {
  return std::find(version_.strategies.begin(), version_.strategies.end(), "stitch") != version_.strategies.end();
}

void FusedTask::change_layers(Sequential& own, const Shape& in) const {
  if (trunk_.scales) add_task_scales(own, in, trunk_.parameters);  // without trunk the key is refused
}

std::shared_ptr<const PinnedRows> FusedTask::rows(bool best, const std::string& missing, Log& log) const {
  if (version_.sources.empty()) return std::make_shared<PinnedRows>(version_);
  const auto remedy = [&](const std::string& why) {
    if (missing == "zeros") {
      log.warning(why + "; all rows of peers are zeros");
      return std::make_shared<PinnedRows>(version_);
    }
    throw CheckpointError(why + ", or give --missing-rows zeros to do without");
  };
  const fs::path tick = run_ / "checkpoints" / checkpoint_name(tick_of(run_ / "tasks" / name_, checkpoint_).value_or(version_.tick));
  if (!fs::exists(tick))
    return remedy(tick.string() + ": is gone, and with it version " + std::to_string((best ? version_.best : version_.last).version) +
                  " of the peers' rows that task " + name_ + " was trained with; bring it back");
  try {
    const Checkpoint parent = open_checkpoint(tick);
    return std::make_shared<PinnedRows>(version_, parent.tensors(name_ + ".safetensors"), parent.tensors("store.safetensors"), store_,
                                        best);
  } catch (const CheckpointError& e) {
    return remedy(e.what());
  }
}

}  // namespace chorale
