// chorale predict
#include <algorithm>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/data/encoded_file.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {

struct Words {
  std::string file, out, missing_rows = "refuse";
};
void describe(OptionTable& t, Words& w) {
  t.add("file", w.file, "The rows to predict, with the columns of the training file; the target may be missing.");
  t.add("out", w.out,
        "CSV file to write: id columns, then probability and class, or value; of several targets NAME.probability and so on.");
  describe_missing_rows(t, w.missing_rows);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string header(const TrainedRun& run) {
  std::string out;
  for (const std::string& id : run.pipeline.ids) out += csv_field(id) + ",";
  std::string columns;
  for (const FittedTarget& target : run.pipeline.targets) {
    const std::string front = run.pipeline.targets.size() > 1 ? target.name + "." : "";
    columns += (columns.empty() ? "" : ",");
    columns +=
        target.kind == TargetKind::value ? csv_field(front + "value") : csv_field(front + "probability") + "," + csv_field(front + "class");
  }
  return out + columns + "\n";
}

/// probability is the second class's for two classes, the named class's for more.
struct Prediction {
  double number = 0;     // probability or value
  std::size_t best = 0;  // class
};

Prediction prediction_of(TargetKind kind, std::span<const double> p) {
  if (kind == TargetKind::value) return {p[0], 0};
  if (kind == TargetKind::binary) return {p[0], p[0] >= 0.5 ? std::size_t{1} : 0};
  const auto best = std::max_element(p.begin(), p.end());
  return {*best, static_cast<std::size_t>(best - p.begin())};
}

/// By target, by row.
std::vector<std::vector<Prediction>> predict_all(TrainedRun& run, const Dataset& rows) {
  const std::vector<FittedTarget>& targets = run.pipeline.targets;
  std::vector<std::vector<Prediction>> all(targets.size());
  Evaluator::predict(*run.model.module, *run.loss, *run.params, rows,
                     [&](std::size_t t, std::int64_t, const Values&, const Tensor& raw, const std::vector<double>& prediction) {
                       const std::size_t outputs = static_cast<std::size_t>(raw.row_elements());
                       for (std::size_t r = 0; r < static_cast<std::size_t>(raw.rows()); ++r)
                         all[t].push_back(prediction_of(targets[t].kind, std::span(prediction).subspan(r * outputs, outputs)));
                     });
  return all;
}

}  // namespace

int run_predict(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty() || w.file.empty() || w.out.empty()) throw UsageError("predict needs a run, --file F and --out OUT.csv");
  TrainedRun run(rest[0], {.missing_rows = w.missing_rows});
  if (run.pipeline.tokens.is_there())
    throw UsageError(rest[0] + " is a model of text, which has a prediction for every place; use chorale generate, or chorale eval --file");
  const std::unique_ptr<OpenedRows> file = run.open_file(w.file, {}, false);
  const std::shared_ptr<const Dataset> rows = run.for_model(file->shared_rows(), run.keys_of(*file, w.file));
  const std::vector<std::vector<Prediction>> predictions = predict_all(run, *rows);
  AtomicWriter out(w.out);
  out.write(header(run));
  file->each_id([&](std::int64_t row, std::span<const std::string> ids) {
    std::string line;
    for (const std::string& id : ids) line += csv_field(id) + ",";
    for (std::size_t t = 0; t < predictions.size(); ++t) {
      const Prediction& p = predictions[t][static_cast<std::size_t>(row)];
      const FittedTarget& target = run.pipeline.targets[t];
      line += (t > 0 ? "," : "") + number(p.number);
      if (target.kind != TargetKind::value) line += "," + csv_field(target.classes[p.best]);
    }
    out.write(line + "\n");
  });
  out.finish();
  std::printf("wrote %lld predictions to %s\n", static_cast<long long>(file->shared_rows()->rows()), printable(w.out).c_str());
  if (const std::string unseen = run.unseen_text(*rows); !unseen.empty()) std::printf("%s\n", unseen.c_str());
  return 0;
}

std::string predict_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
