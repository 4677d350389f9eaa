// chorale eval
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {
struct Words {
  std::string file, part = "test";
  bool json = false;
};
void describe(OptionTable& t, Words& w) {
  t.add("file", w.file, "Score all rows of this file instead of a part of the run's own.");
  t.add("part", w.part, "Which part of the run's own data.", {.choices = {"train", "validation", "test"}});
  t.add("json", w.json, "One object.");
}
}  // namespace

int run_eval(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty()) throw UsageError("eval needs a run directory");
  TrainedRun run(rest[0]);
  const Settings& s = run.recipe.settings;
  std::shared_ptr<MatrixDataset> rows;
  if (!w.file.empty()) {
    DataOptions data = s.data;
    data.file = {w.file};
    const EncodedFile file = encode_file(run.pipeline, data, run.params->dtype());
    if (!file.has_target) throw DataError(w.file + ": has no column '" + run.pipeline.target + "' to score against; predict needs none");
    rows = file.rows;
  } else {
    const PreparedData data = prepare_data(s.data, s.train, *run.comm, run.session->log);
    rows = w.part == "train" ? data.train : w.part == "validation" ? data.validation : data.test;
    if (rows->rows() == 0) throw UsageError("the run has no " + w.part + " rows; its split is " + run.pipeline.split);
  }
  const std::int64_t outputs = run.model->output_shape({run.pipeline.features()}).elements();
  Evaluator evaluator({*run.comm, *run.model, *run.loss, *run.params, run.session->registry, s.train.metrics, outputs});
  const auto scores = evaluator.evaluate(*rows);
  nlohmann::ordered_json j = {{"rows", rows->rows()},
                              {"part", w.file.empty() ? w.part : w.file},
                              {"step", run.checkpoint->manifest().step},
                              {"best_weights", run.best}};
  for (const auto& [name, value] : scores)
    j["metrics"][name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  for (const auto& [name, text] : evaluator.tables()) j["tables"][name] = nlohmann::ordered_json::parse(text);
  if (w.json) {
    std::printf("%s\n", j.dump(2).c_str());
    return 0;
  }
  std::printf("%s: %lld rows, step %lld, %s weights\n", j["part"].get<std::string>().c_str(), static_cast<long long>(rows->rows()),
              static_cast<long long>(run.checkpoint->manifest().step), run.best ? "best" : "last");
  for (const auto& [name, value] : scores) std::printf("  %-18s %.6g\n", name.c_str(), value);
  for (const auto& [name, text] : evaluator.tables()) std::printf("  %s %s\n", name.c_str(), text.c_str());
  return 0;
}

std::string eval_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
