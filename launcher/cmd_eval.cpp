// chorale eval
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/data/encoded_file.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {
struct Words {
  std::string file, labels, part = "test", missing_rows = "refuse";
  bool json = false;
};
void describe(OptionTable& t, Words& w) {
  t.add("file", w.file, "Score all rows of this file instead of a part of the run's own.");
  t.add("labels", w.labels, "With --file, of a run on arrays: their labels, as data.labels.");
  t.add("part", w.part, "Which part of the run's own data.", {.choices = {"train", "validation", "test"}});
  t.add("json", w.json, "One object.");
  describe_missing_rows(t, w.missing_rows);
}

std::shared_ptr<const Dataset> rows_of_file(TrainedRun& run, const Words& w) {
  const std::shared_ptr<OpenedRows> opened = run.open_file(w.file, w.labels, true);
  const auto rows = opened->shared_rows();
  return run.for_model({opened, rows.get()}, run.keys_of(*opened, w.file));
}

std::shared_ptr<const Dataset> rows_of_part(TrainedRun& run, const std::string& part) {
  const DataParts data = run.own_parts();
  const auto rows = part == "train" ? data.train : part == "validation" ? data.validation : data.test;
  if (rows->rows() == 0) throw UsageError("the run has no " + part + " rows; its split is " + run.pipeline.split);
  return run.for_model(rows, {.entities = data.entities, .periods = data.periods});
}

}  // namespace

int run_eval(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty()) throw UsageError("eval needs a run directory");
  if (w.file.empty() && !w.labels.empty()) throw UsageError("--labels are those of --file; give that too");
  TrainedRun run(rest[0], {.missing_rows = w.missing_rows});
  const Settings& s = run.recipe.settings;
  const std::shared_ptr<const Dataset> rows = w.file.empty() ? rows_of_part(run, w.part) : rows_of_file(run, w);
  Evaluator evaluator(
      {*run.comm, *run.model.module, *run.loss, *run.params, run.session->registry, s.train.metrics, outputs_of(run.model, run.pipeline)});
  const auto scores = evaluator.evaluate(*rows);
  nlohmann::ordered_json j = {{"rows", rows->rows()},
                              {"part", w.file.empty() ? w.part : w.file},
                              {"step", run.checkpoint->manifest().step},
                              {"best_weights", run.best}};
  const std::string unseen = run.unseen_text(*rows);
  if (!unseen.empty()) j["peers"] = unseen;
  for (const auto& [name, value] : scores)
    j["metrics"][name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  for (const auto& [name, text] : evaluator.tables()) j["tables"][name] = nlohmann::ordered_json::parse(text);
  if (w.json) {
    std::printf("%s\n", j.dump(2, ' ', true).c_str());
    return 0;
  }
  std::printf("%s: %lld rows, step %lld, %s weights\n", j["part"].get<std::string>().c_str(), static_cast<long long>(rows->rows()),
              static_cast<long long>(run.checkpoint->manifest().step), run.best ? "best" : "last");
  if (!unseen.empty()) std::printf("  %s\n", unseen.c_str());
  for (const auto& [name, value] : scores) std::printf("  %-18s %.6g\n", name.c_str(), value);
  for (const auto& [name, text] : evaluator.tables()) std::printf("  %s %s\n", name.c_str(), printable(text).c_str());
  return 0;
}

std::string eval_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
