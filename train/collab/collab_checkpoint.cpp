#include <chorale/train/collab/collab_checkpoint.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/checkpoint_writer.hpp>
#include <chorale/core/io/safetensors_image.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

using Json = nlohmann::json;

namespace {

std::string bytes_of(const SafetensorsImage& image) {
  std::string out(image.size(), '\0');
  image.copy_range({0, image.size()}, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

std::string text_of(const CollabPosition& p) {
  return Json{{"collab", true},        {"tick", p.tick},
              {"burn_in", p.burn_in},  {"steps_per_tick", p.steps_per_tick},
              {"steps", p.steps},      {"virtual_workers", p.virtual_workers},
              {"identity", p.identity}}
      .dump();
}

CollabPosition position_from(const std::string& text, const std::string& where) {
  try {
    const Json j = Json::parse(text);
    CollabPosition p;
    p.tick = j.at("tick"), p.burn_in = j.at("burn_in");
    p.steps_per_tick = j.at("steps_per_tick").get<std::vector<std::int64_t>>(), p.steps = j.at("steps").get<std::vector<std::int64_t>>();
    p.virtual_workers = j.at("virtual_workers").get<std::vector<std::int64_t>>();
    p.identity = j.at("identity").get<std::map<std::string, std::string>>();
    return p;
  } catch (const Json::exception& e) {
    throw CheckpointError(where + ": its manifest is of no collaboration: " + e.what());
  }
}

std::string random_token() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace

std::optional<std::int64_t> tick_with(const std::filesystem::path& run, std::size_t task, std::int64_t step) {
  const std::vector<std::int64_t> ticks = list_checkpoints(run / "checkpoints").steps;
  for (std::size_t i = ticks.size(); i-- > 0;) {
    const std::filesystem::path folder = run / "checkpoints" / checkpoint_name(ticks[i]);
    const CollabPosition position = position_from(read_manifest(folder).fields, folder.string());
    if (task < position.steps.size() && position.steps[task] == step) return ticks[i];
  }
  return std::nullopt;
}

std::optional<CollabPosition> CollabCheckpoints::newest_sound() {
  const std::filesystem::path folder = setup_.run / "checkpoints";
  std::vector<std::int64_t> ticks = list_checkpoints(folder).steps;
  std::string reasons;
  for (std::size_t i = ticks.size(); i-- > 0;) {
    try {
      const Checkpoint parent = open_step(folder, ticks[i]);
      const CollabPosition position = position_from(parent.manifest().fields, parent.folder().string());
      if (position.steps.size() != setup_.tasks.size() || position.steps_per_tick.size() != setup_.tasks.size() ||
          position.virtual_workers.size() != setup_.tasks.size())
        throw CheckpointError(
            fmt::format("{}: it is of {} tasks, the recipe has {}", parent.folder().string(), position.steps.size(), setup_.tasks.size()));
      for (std::size_t t = 0; t < setup_.tasks.size(); ++t) {
        parent.tensors(setup_.tasks[t] + ".safetensors");
        if (position.steps[t] > 0) open_step(folder_of(t), position.steps[t]);
      }
      parent.tensors("store.safetensors");
      return position;
    } catch (const CheckpointError& e) {
      reasons += (reasons.empty() ? "" : "; ") + std::string(e.what());
      setup_.log.error(fmt::format("tick {} cannot be resumed from, for all tasks: {}", ticks[i], e.what()));
    }
  }
  if (!ticks.empty()) throw CheckpointError("no tick has all of its parts: " + reasons);
  return std::nullopt;
}

std::optional<CollabPosition> CollabCheckpoints::choose() {
  const Stay stay(setup_.sharing.watch(), Activity::restoring, "checkpoint");
  std::string found, trouble;
  if (setup_.sharing.rank() == 0) {
    try {
      if (const auto position = newest_sound()) {
        found = text_of(*position);
        for (std::size_t t = 0; t < setup_.tasks.size(); ++t)
          for (const std::int64_t step : list_checkpoints(folder_of(t)).steps)
            if (step > position->steps[t]) remove_checkpoint(folder_of(t), step, random_token());
      }
    } catch (const std::exception& e) {
      trouble = e.what();
    }
  }
  if (const std::string why = text_from(setup_.sharing, 0, trouble, "tick trouble"); !why.empty()) throw CheckpointError(why);
  found = text_from(setup_.sharing, 0, found, "tick choice");
  if (found.empty()) return std::nullopt;
  return position_from(found, "rank 0");
}

void CollabCheckpoints::restore(const CollabPosition& position, CollabTask& task) {
  const Checkpoint parent = open_step(setup_.run / "checkpoints", position.tick);
  const SafetensorsFile store = parent.tensors("store.safetensors");
  const auto meta = [](const SafetensorsFile& file) {
    const auto it = file.metadata().find("state");
    if (it == file.metadata().end()) throw CheckpointError(file.path().string() + " says no state");
    return it->second;
  };
  if (task.store()) task.store()->restore(store, meta(store));
  const auto mine = static_cast<std::size_t>(setup_.task_of[static_cast<std::size_t>(setup_.sharing.rank())]);
  const SafetensorsFile file = parent.tensors(setup_.tasks[mine] + ".safetensors");
  task.hook().restore(file, meta(file));
}

std::string CollabCheckpoints::write(const CollabPosition& position, CollabTask& task, const std::vector<std::vector<std::byte>>& parts) {
  CheckpointWriter writer(
      {.checkpoints = setup_.run / "checkpoints", .step = position.tick, .token = random_token(), .still_ours = setup_.still_ours});
  try {
    writer.join();
    Manifest manifest{.step = position.tick, .fields = text_of(position)};
    Store* store = task.store();
    const SafetensorsImage shared(store ? store->state() : std::vector<NamedTensor>{}, {{"state", store ? store->state_text() : "none"}});
    manifest.files.push_back(writer.write_text("store.safetensors", bytes_of(shared)));
    for (std::size_t t = 0; t < setup_.tasks.size(); ++t) {
      const auto first =
          static_cast<std::size_t>(std::find(setup_.task_of.begin(), setup_.task_of.end(), static_cast<int>(t)) - setup_.task_of.begin());
      const std::vector<std::byte>& bytes = parts[first];
      manifest.files.push_back(
          writer.write_text(setup_.tasks[t] + ".safetensors", std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
    }
    writer.commit(std::move(manifest));
    writer.prune(setup_.retention);
    return "";
  } catch (const OwnedError&) {
    writer.abandon();
    throw;
  } catch (const std::exception& e) {
    writer.abandon();
    return e.what();
  }
}

/// Tasks' checkpoints that no tick names any more.
void CollabCheckpoints::remove_unnamed() {
  std::vector<std::set<std::int64_t>> named(setup_.tasks.size());
  for (const std::int64_t tick : list_checkpoints(setup_.run / "checkpoints").steps) {
    const CollabPosition p = position_from(read_manifest(setup_.run / "checkpoints" / checkpoint_name(tick)).fields, "a tick");
    for (std::size_t t = 0; t < std::min(named.size(), p.steps.size()); ++t) named[t].insert(p.steps[t]);
  }
  for (std::size_t t = 0; t < named.size(); ++t)
    for (const std::int64_t step : list_checkpoints(folder_of(t)).steps)
      if (!named[t].contains(step)) remove_checkpoint(folder_of(t), step, random_token());
}

void CollabCheckpoints::commit(const CollabPosition& position, CollabTask& task, bool is_good) {
  const Stay stay(setup_.sharing.watch(), Activity::saving, "checkpoint of all tasks");
  task.hook().settle();
  if (task.store()) task.store()->gather_state();
  std::int64_t all_good = is_good ? 1 : 0;
  setup_.sharing.all_reduce(buffer_of(std::span(&all_good, 1)), Reduce::min, "tasks saved").wait();
  const auto rank = static_cast<std::size_t>(setup_.sharing.rank());
  const bool is_first =
      std::find(setup_.task_of.begin(), setup_.task_of.end(), setup_.task_of[rank]) == setup_.task_of.begin() + setup_.sharing.rank();
  const std::string mine = is_first ? bytes_of(SafetensorsImage(task.hook().state(), {{"state", task.hook().state_text()}})) : "";
  const auto parts = all_gather_bytes(setup_.sharing, std::as_bytes(std::span(mine)), "state of tasks");
  std::string trouble, owned;
  if (setup_.sharing.rank() == 0 && all_good != 0) {
    try {
      trouble = write(position, task, parts);
      if (trouble.empty()) remove_unnamed();
    } catch (const OwnedError& e) {
      owned = e.what();
    } catch (const std::exception& e) {
      setup_.log.warning("older checkpoints of tasks are not removed: " + std::string(e.what()));
    }
  }
  if (const std::string other = text_from(setup_.sharing, 0, owned, "owner"); !other.empty()) throw OwnedError(other);
  if (all_good == 0) trouble = "a task could not write its own";
  if (trouble.empty()) {
    ++committed_, has_failed_ = false;
  } else if (setup_.sharing.rank() == 0 && !std::exchange(has_failed_, true)) {
    setup_.log.warning(
        fmt::format("checkpoint of tick {} failed, training goes on and later ones are tried without a word: {}", position.tick, trouble));
  }
  setup_.sharing.barrier("tick committed").wait();
}

}  // namespace chorale
