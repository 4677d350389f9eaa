// curves.svg: loss of both parts above, validation scores below, over updates. Drawn by gnuplot from the lines of metrics.jsonl.
#include <map>
#include <nlohmann/json.hpp>

#include <chorale/core/io/text_lines.hpp>
#include <chorale/launcher/plot.hpp>
#include <chorale/launcher/run_files.hpp>

namespace chorale {

namespace {

using Points = std::map<double, double>;  // by step: a resumed run may come to a step twice

std::map<std::string, Points> read_points(const std::filesystem::path& folder) {
  std::map<std::string, Points> out;
  Points steps;
  TextLines in(folder / "metrics.jsonl");
  for (std::string line; in.next(line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("event") || !j.contains("step") || !j["step"].is_number()) continue;
    const double step = j["step"].get<double>();
    if (j["event"] == "step" && j.contains("loss") && j["loss"].is_number()) steps[step] = j["loss"].get<double>();
    if (j["event"] != "evaluation" || !j.contains("metrics")) continue;
    for (const auto& [part, scores] : j["metrics"].items())
      for (const auto& [name, value] : scores.items())
        if (value.is_number()) out[part + " " + name][step] = value.get<double>();
  }
  if (out.empty() && !steps.empty()) out["batch loss"] = steps;  // a run without validation rows
  return out;
}

std::string plot_of(const std::map<std::string, Points>& curves, bool losses) {
  std::string words, data;
  for (const auto& [name, points] : curves) {
    const bool is_loss = (name.ends_with(" loss") || name.ends_with(".loss"));
    if (is_loss != losses || points.empty()) continue;
    words += (words.empty() ? "plot " : ", ") + std::string("'-' using 1:2 with linespoints lw 2 pt 7 ps 0.4 title ") + plot_text(name);
    for (const auto& [x, y] : points) data += std::to_string(x) + " " + std::to_string(y) + "\n";
    data += "e\n";
  }
  return words.empty() ? "" : words + "\n" + data;
}

}  // namespace

bool draw_curves(const std::filesystem::path& folder) {
  const auto curves = read_points(folder);
  const std::string above = plot_of(curves, true), below = plot_of(curves, false);
  if (above.empty() && below.empty()) return false;
  const std::filesystem::path file = folder / "curves.svg";
  std::string script = plot_head(file, 800, 640) + "set key outside right\n";
  script += std::string("set multiplot layout ") + (above.empty() || below.empty() ? "1" : "2") + ",1\n";
  if (!above.empty()) script += std::string(below.empty() ? "set xlabel 'updates'\n" : "") + "set ylabel 'loss'\n" + above;
  if (!below.empty()) script += "set ylabel 'validation'\nset xlabel 'updates'\n" + below;
  return run_plot(file, script + "unset multiplot\n");
}

}  // namespace chorale
