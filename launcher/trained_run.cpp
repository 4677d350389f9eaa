#include <chorale/launcher/trained_run.hpp>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/train/checkpointing.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace fs = std::filesystem;

Checkpoint find_checkpoint(const std::string& path, Log& log) {
  if (fs::exists(fs::path(path) / "manifest.json")) return open_checkpoint(path);
  if (!fs::is_directory(path)) throw UsageError(path + ": there is no such run or checkpoint");
  if (fs::exists(fs::path(path) / "model.safetensors"))
    throw CheckpointError(path + ": has no manifest.json, so nothing says whether it is whole; take another checkpoint");
  auto newest = newest_valid_checkpoint(fs::path(path) / "checkpoints", log);
  if (!newest) throw UsageError(path + ": holds no checkpoint; is it a run directory?");
  return *newest;
}

void describe_missing_rows(OptionTable& table, std::string& missing_rows) {
  table.add(
      "missing-rows", missing_rows,
      "Of a model that reads what others have published: what is done where those rows are gone or are of another version than it was "
      "trained with: refuse, or zeros in their place.",
      {.choices = {"refuse", "zeros"}});
}

TrainedRun::TrainedRun(const std::string& path, const OpenAs& as) : comm(make_self_communicator()), opened(as) {
  ConsoleLog log(0);
  task = FusedTask::open(path, log);
  checkpoint = std::make_unique<Checkpoint>(task ? task->checkpoint() : find_checkpoint(path, log));
  recipe.read((checkpoint->folder() / "recipe.ini").string());
  pipeline = Pipeline::from_json(checkpoint->text("pipeline.json"));
  if (!pipeline.published.tasks.empty()) published = Representations::open_pinned(pipeline.published, as.missing_rows, log);
  session = std::make_unique<Session>(*comm, recipe.settings.parallel);
  model = build_model(recipe.settings.model, recipe.settings.train, pipeline, session->registry);
  FusedModel* fused = nullptr;
  if (task && !as.own_layers_alone) {
    std::unique_ptr<Sequential> own(static_cast<Sequential*>(model.module.release()));  // a task that shares has one target and layers
    task->change_layers(*own, {pipeline.features()});
    if (task->is_stitched()) {
      stitched = std::make_unique<StitchedPeers>(*task);
      model.module =
          std::make_unique<StitchedModel>(std::move(own), Shape{pipeline.features()}, task->stitch(), task->number(), stitched->layers());
    } else {
      model.module.reset(fused = new FusedModel(std::move(own), {pipeline.features()}, task->version().fusion));
    }
  }
  loss = make_objective(recipe.settings.train, pipeline.targets, session->registry);
  params = std::make_unique<FlatParams>(*model.module, *session->device, parse_dtype(recipe.settings.train.dtype));
  memory.push_back(Tensor::zeros(*session->device, {params->elements()}, params->dtype()));
  params->bind(memory.back().buffer());
  const SafetensorsFile last = checkpoint->tensors("model.safetensors"), state = checkpoint->tensors("state.safetensors");
  for (const NamedTensor& wanted : named_parameters(*params, params->values())) {
    const NamedTensor* found = state.find("best." + wanted.name);
    best = best || found;
    if (!found) found = state.find("ema." + wanted.name);  // where no best weights are kept
    if (!found) found = &last.at(wanted.name);
    if (found->shape != wanted.shape || found->dtype != wanted.dtype)
      throw CheckpointError(checkpoint->folder().string() + ": " + wanted.name + " has another shape or type than the recipe's model");
    std::memcpy(const_cast<void*>(wanted.data), found->data, wanted.bytes());
  }
  if (!fused) return;
  peers = task->rows(best, as.missing_rows, log);
  const RowsVersion& used = best ? task->version().best : task->version().last;
  for (std::size_t peer = 0; peer < used.open.size(); ++peer) fused->set_open(static_cast<std::int64_t>(peer), used.open[peer]);
}

std::shared_ptr<const Dataset> TrainedRun::for_model(std::shared_ptr<const Dataset> rows, const RowKeys& keys) {
  if (stitched) return stitched->join(std::move(rows), keys.entities[0], keys.file, keys.path, opened.missing_rows, session->log);
  if (!peers || peers->columns() == 0) return rows;
  return std::make_shared<PinnedDataset>(std::move(rows), peers, keys.entities, keys.periods);
}

RowKeys TrainedRun::keys_of(OpenedRows& file, const std::string& path) const {
  auto* table = dynamic_cast<EncodedFile*>(&file);
  if (!table) return {};
  return {.entities = table->entities(request().columns), .periods = table->periods(time()), .file = table, .path = path};
}

// The parts are cut from the file again, so they are the run's parts only if the file is the run's.
PreparedData TrainedRun::own_data() {
  const Settings& s = recipe.settings;
  PreparedData data = prepare_data(s.data, s.train, *comm, session->log, session->registry, request(), published);
  must_be_own(data.identity());
  return data;
}

DataParts TrainedRun::own_parts() {
  const Settings& s = recipe.settings;
  const EntityRequest keys = request();
  DataParts data = read_data({s.data, s.train, *comm, session->log, session->registry, keys, published});
  must_be_own(data.identity);
  return data;
}

void TrainedRun::must_be_own(const std::string& identity) const {
  const auto trained_on = nlohmann::json::parse(checkpoint->manifest().fields)["identity"].value("data", "");
  const DataOptions& data = recipe.settings.data;
  if (identity != trained_on)
    throw DataError((data.file.empty() ? data.dir : list_text(data.file)) + ": expected the rows that the run was trained on (" +
                    trained_on + "), got " + identity + "; bring them back, or score the file whole with --file");
}

std::unique_ptr<OpenedRows> TrainedRun::open_file(const std::string& file, const std::string& labels, bool needs_target) const {
  OpenRequest out{.pipeline = pipeline,
                  .data = recipe.settings.data,
                  .dtype = params->dtype(),
                  .published = published,
                  .time = time().column,
                  .needs_target = needs_target};
  out.data.file = {file}, out.data.labels = labels;
  return open_rows(out, session->registry, *comm, session->log);
}

TimeRequest TrainedRun::time() const { return peers && peers->columns() > 0 ? request().time : TimeRequest(); }

EncodedFileSettings TrainedRun::reading(const std::string& file, bool needs_target) const {
  EncodedFileSettings out{
      .data = recipe.settings.data, .dtype = params->dtype(), .published = published, .time = time().column, .needs_target = needs_target};
  out.data.file = {file};
  return out;
}

std::string TrainedRun::unseen_text(const Dataset& rows) const {
  if (published) return std::to_string(published->unseen()) + " rows are of entities that nobody has published of";
  const auto* pinned = dynamic_cast<const PinnedDataset*>(&rows);
  if (!pinned) return "";
  return std::to_string(pinned->unseen()) + " of " + std::to_string(rows.rows()) + " rows are of entities that no peer has published";
}

}  // namespace chorale
