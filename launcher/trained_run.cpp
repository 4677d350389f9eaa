#include <chorale/launcher/trained_run.hpp>

#include <cstring>
#include <filesystem>

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

TrainedRun::TrainedRun(const std::string& path) : comm(make_self_communicator()) {
  ConsoleLog log(0);
  checkpoint = std::make_unique<Checkpoint>(find_checkpoint(path, log));
  recipe.read((checkpoint->folder() / "recipe.ini").string());
  pipeline = Pipeline::from_json(checkpoint->text("pipeline.json"));
  session = std::make_unique<Session>(*comm, recipe.settings.parallel);
  model = build_model(recipe.settings.model, recipe.settings.train, pipeline, session->registry);
  loss = make_objective(recipe.settings.train, pipeline.targets, session->registry);
  params = std::make_unique<FlatParams>(*model.module, *session->device, parse_dtype(recipe.settings.train.dtype));
  memory.push_back(Tensor::zeros(*session->device, {params->elements()}, params->dtype()));
  params->bind(memory.back().buffer());
  const SafetensorsFile last = checkpoint->tensors("model.safetensors"), state = checkpoint->tensors("state.safetensors");
  for (const NamedTensor& wanted : named_parameters(*params, params->values())) {
    const NamedTensor* found = state.find("best." + wanted.name);
    best = best || found;
    if (!found) found = &last.at(wanted.name);
    if (found->shape != wanted.shape || found->dtype != wanted.dtype)
      throw CheckpointError(checkpoint->folder().string() + ": " + wanted.name + " has another shape or type than the recipe's model");
    std::memcpy(const_cast<void*>(wanted.data), found->data, wanted.bytes());
  }
}

}  // namespace chorale
