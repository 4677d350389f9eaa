// chorale inspect
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/flight_report.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/launcher/verify.hpp>
#include <chorale/train/checkpointing.hpp>

namespace chorale {

namespace {

using Json = nlohmann::ordered_json;

std::int64_t count_of(const Module& module) {
  std::int64_t count = 0;
  for (const auto& [name, parameter] : module.parameters())
    if (parameter->segment() != Segment::buffer) count += parameter->shape().elements();
  return count;
}

/// A row a layer, and behind one that holds others theirs.
void add_layers(const Sequential& layers, Shape shape, const std::string& way, Json& out) {
  for (std::size_t i = 0; i < layers.layers().size(); ++i) {
    const Layer& layer = *layers.layers()[i];
    const Shape after = layer.output_shape(shape);
    out.push_back({{"layer", way + layer.name()}, {"output", after.text()}, {"parameters", count_of(layer)}});
    for (const auto& [name, child] : layer.children())
      if (const auto* branch = dynamic_cast<const Sequential*>(child)) add_layers(*branch, shape, way + "  " + name + ": ", out);
    shape = after;
  }
}

Json layers_of(const AnyModel& model, const Shape& shape) {
  Json out = Json::array();
  if (!model.layers) {
    for (const auto& [name, part] : model.module->children()) out.push_back({{"part", name}, {"parameters", count_of(*part)}});
    return out;
  }
  add_layers(*model.layers, shape, "", out);
  return out;
}

/// What is learnt from, as the preprocessing sees it.
Json data_summary(const Pipeline& pipeline) {
  Json out = {{"training_rows", pipeline.training_rows}, {"features", pipeline.features()}};
  for (const FittedTarget& target : pipeline.targets) {
    const Json one = {{"target", target.name}, {"classes", target.classes}, {"class_rows", target.class_rows}};
    if (pipeline.targets.size() > 1)
      out["targets"].push_back(one);
    else
      out.update(one);
  }
  out["ids"] = pipeline.ids, out["split"] = pipeline.split;
  return out;
}

/// Settings, and the model and data that they make: the file is read and the preprocessing fitted, on this rank alone.
Json recipe_json(const std::string& path) {
  RecipeTable recipe;
  recipe.read(path);
  const Settings& s = recipe.settings;
  Json j;
  for (const Option& o : recipe.table.all()) j["settings"][o.key] = o.text();
  const auto comm = make_self_communicator();
  ConsoleLog log(0);
  try {
    const DataParts data = read_data({s.data, s.train, *comm, log, recipe.registry});
    j["data"] = data_summary(data.pipeline);
    j["data"]["validation_rows"] = data.validation->rows(), j["data"]["test_rows"] = data.test->rows();
    const AnyModel model = build_model(s.model, s.train, data.pipeline, recipe.registry);
    j["layers"] = layers_of(model, data.pipeline.row_shape());
    j["parameters"] = count_of(*model.module);
  } catch (const DataError& e) {
    log.warning(std::string("the model's sizes need the data: ") + e.what());
  } catch (const UsageError& e) {
    throw UsageError(recipe.table.located(e.what()));
  }
  return j;
}

Json run_json(const std::string& path) {
  const TrainedRun run(path, {.missing_rows = "zeros"});
  Json j = {{"checkpoint", run.checkpoint->folder().string()},
            {"step", run.checkpoint->manifest().step},
            {"version", run.checkpoint->manifest().version},
            {"best_weights", run.best}};
  j["data"] = data_summary(run.pipeline);
  if (run.published)
    j["representations"] = {
        {"run", run.pipeline.published.run}, {"version", run.pipeline.published.version}, {"tasks", run.pipeline.published.tasks}};
  j["layers"] = layers_of(run.model, run.pipeline.row_shape());
  if (run.task) {
    const PinnedVersion& v = run.task->version();
    j["collaboration"] = {{"task", run.task->name()}, {"tick", v.tick}, {"width", v.width}, {"kinds", v.kinds}};
    for (std::size_t s = 0; s < v.sources.size(); ++s) {
      const RowsVersion& rows = run.best ? v.best : v.last;
      j["peers"].push_back({{"task", v.sources[s].task},
                            {"kind", v.sources[s].kind},
                            {"heard", static_cast<bool>(rows.open[s])},
                            {"version", rows.version}});
    }
  }
  j["parameters"] = run.params->parameter_count();
  const SafetensorsFile model = run.checkpoint->tensors("model.safetensors");
  j["parameters_hash"] = tensors_hash(model.tensors());
  for (const NamedTensor& t : model.tensors())
    j["tensors"].push_back(
        {{"name", t.name}, {"dtype", std::string(name(t.dtype))}, {"shape", t.shape.text()}, {"hash", tensors_hash({t})}});
  for (const CheckpointFile& f : run.checkpoint->manifest().files)
    j["files"].push_back({{"name", f.name}, {"bytes", f.bytes}, {"blocks", f.blocks.size()}});
  return j;
}

std::string shown(const Json& value) { return printable(value.is_string() ? value.get<std::string>() : value.dump()); }

void print(const Json& j, const std::string& indent) {
  for (const auto& [key, value] : j.items()) {
    if (value.is_array() && !value.empty() && value[0].is_object()) {
      std::printf("%s%s:\n%s ", indent.c_str(), printable(key).c_str(), indent.c_str());
      for (const auto& [name, cell] : value[0].items()) std::printf(" %-28s", printable(name).c_str());
      std::printf("\n");
      for (const Json& row : value) {
        std::printf("%s ", indent.c_str());
        for (const auto& [name, cell] : row.items()) std::printf(" %-28s", shown(cell).c_str());
        std::printf("\n");
      }
    } else if (value.is_object()) {
      std::printf("%s%s:\n", indent.c_str(), printable(key).c_str());
      print(value, indent + "  ");
    } else {
      std::printf("%s%-24s %s\n", indent.c_str(), printable(key).c_str(), shown(value).c_str());
    }
  }
}

}  // namespace

namespace {

struct Words {
  bool json = false, verify = false, flight = false;
};

void describe(OptionTable& t, Words& w) {
  t.add("json", w.json, "One object.");
  t.add("flight", w.flight, "Of a run that has failed: which rank diverged first and where, from what the ranks recorded.");
  t.add("verify", w.verify, "Read every byte of a checkpoint, or of all of a run, and say which are sound; exit code 66 when one is not.");
}

}  // namespace

int run_inspect(std::span<const std::string> arguments) {
  Words words;
  OptionTable table;
  describe(table, words);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty()) throw UsageError("inspect needs a run, a checkpoint or a recipe");
  if (words.verify) return report_verified(verify_checkpoints(rest[0]), words.json);
  const bool json = words.json;
  const Json j = words.flight                                ? flight_report(rest[0])
                 : std::filesystem::is_regular_file(rest[0]) ? recipe_json(rest[0])
                                                             : run_json(rest[0]);
  if (json)
    std::printf("%s\n", j.dump(2, ' ', true).c_str());
  else
    print(j, "");
  return 0;
}

std::string inspect_options() {
  Words words;
  OptionTable table;
  describe(table, words);
  return help_text(table);
}

}  // namespace chorale
