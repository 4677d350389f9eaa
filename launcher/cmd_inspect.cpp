// chorale inspect
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/checkpointing.hpp>

namespace chorale {

namespace {

using Json = nlohmann::ordered_json;

Json layers_of(const Sequential& model, Shape shape) {
  Json out = Json::array();
  for (const auto& layer : model.layers()) {
    shape = layer->output_shape(shape);
    std::int64_t count = 0;
    for (const auto& [name, parameter] : layer->parameters()) count += parameter->shape().elements();
    out.push_back({{"layer", layer->name()}, {"output", shape.text()}, {"parameters", count}});
  }
  return out;
}

Json recipe_json(const std::string& path) {
  RecipeTable recipe;
  recipe.read(path);
  Json j;
  for (const Option& o : recipe.table.all()) j["settings"][o.key] = o.text();
  return j;
}

Json run_json(const std::string& path) {
  const TrainedRun run(path);
  Json j = {{"checkpoint", run.checkpoint->folder().string()},
            {"step", run.checkpoint->manifest().step},
            {"features", run.pipeline.features()},
            {"training_rows", run.pipeline.training_rows},
            {"target", run.pipeline.target},
            {"classes", run.pipeline.classes},
            {"split", run.pipeline.split}};
  j["layers"] = layers_of(*run.model, {run.pipeline.features()});
  j["parameters"] = run.params->parameter_count();
  const SafetensorsFile model = run.checkpoint->tensors("model.safetensors");
  j["parameters_hash"] = tensors_hash(model.tensors());
  for (const NamedTensor& t : model.tensors())
    j["tensors"].push_back(
        {{"name", t.name}, {"dtype", std::string(name(t.dtype))}, {"shape", t.shape.text()}, {"hash", tensors_hash({t})}});
  for (const CheckpointFile& f : run.checkpoint->manifest().files)
    j["files"].push_back({{"name", f.name}, {"bytes", f.bytes}, {"hash", f.hash}});
  return j;
}

void print(const Json& j, const std::string& indent) {
  for (const auto& [key, value] : j.items()) {
    if (value.is_array() && !value.empty() && value[0].is_object()) {
      std::printf("%s%s:\n", indent.c_str(), key.c_str());
      for (const Json& row : value) {
        std::printf("%s ", indent.c_str());
        for (const auto& [name, cell] : row.items())
          std::printf(" %-28s", cell.is_string() ? cell.get<std::string>().c_str() : cell.dump().c_str());
        std::printf("\n");
      }
    } else if (value.is_object()) {
      print(value, indent);
    } else {
      std::printf("%s%-24s %s\n", indent.c_str(), key.c_str(), value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
}

}  // namespace

int run_inspect(std::span<const std::string> arguments) {
  bool json = false;
  OptionTable table;
  table.add("json", json, "One object.");
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty()) throw UsageError("inspect needs a run, a checkpoint or a recipe");
  const Json j = std::filesystem::is_regular_file(rest[0]) ? recipe_json(rest[0]) : run_json(rest[0]);
  if (json)
    std::printf("%s\n", j.dump(2).c_str());
  else
    print(j, "");
  return 0;
}

std::string inspect_options() { return "  --json                             switch   One object.\n"; }

}  // namespace chorale
