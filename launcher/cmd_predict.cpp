// chorale predict
#include <algorithm>
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/trained_run.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {

struct Words {
  std::string file, out;
};
void describe(OptionTable& t, Words& w) {
  t.add("file", w.file, "The rows to predict, with the columns of the training file; the target may be missing.");
  t.add("out", w.out, "CSV file to write: id columns, then probability and class, or value.");
}

std::string quoted(const std::string& text) {
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
  for (const std::string& id : run.pipeline.ids) out += quoted(id) + ",";
  if (run.pipeline.target_kind == TargetKind::value) return out + "value\n";
  return out + "probability,class\n";
}

/// probability is the second class's for two classes, the named class's for more.
std::string prediction_text(const TrainedRun& run, std::span<const double> p) {
  if (run.pipeline.target_kind == TargetKind::value) return number(p[0]);
  if (run.pipeline.target_kind == TargetKind::binary) return number(p[0]) + "," + quoted(run.pipeline.classes[p[0] >= 0.5 ? 1 : 0]);
  const auto best = std::max_element(p.begin(), p.end());
  return number(*best) + "," + quoted(run.pipeline.classes[static_cast<std::size_t>(best - p.begin())]);
}

}  // namespace

int run_predict(std::span<const std::string> arguments) {
  Words w;
  OptionTable table;
  describe(table, w);
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty() || w.file.empty() || w.out.empty()) throw UsageError("predict needs a run, --file F and --out OUT.csv");
  TrainedRun run(rest[0]);
  DataOptions data = run.recipe.settings.data;
  data.file = {w.file};
  const EncodedFile file = encode_file(run.pipeline, data, run.params->dtype());
  std::string text = header(run);
  Evaluator::predict(*run.model, *run.loss, *run.params, *file.rows,
                     [&](std::int64_t first, const Values&, const Tensor& raw, const std::vector<double>& prediction) {
                       const std::size_t outputs = static_cast<std::size_t>(raw.row_elements());
                       for (std::size_t r = 0; r < static_cast<std::size_t>(raw.rows()); ++r) {
                         for (const std::string& id : file.ids[static_cast<std::size_t>(first) + r]) text += quoted(id) + ",";
                         text += prediction_text(run, std::span(prediction).subspan(r * outputs, outputs)) + "\n";
                       }
                     });
  write_file_atomically(w.out, text);
  std::printf("wrote %lld predictions to %s\n", static_cast<long long>(file.rows->rows()), w.out.c_str());
  return 0;
}

std::string predict_options() {
  Words w;
  OptionTable table;
  describe(table, w);
  return help_text(table);
}

}  // namespace chorale
