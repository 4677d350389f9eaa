// study.svg: a panel a task. With one number of labels its arms, each seed a dot; with several, curves over labels. Sweeps stand below.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <chorale/launcher/collab/study_report.hpp>
#include <chorale/launcher/plot.hpp>

namespace chorale {

namespace {

struct Look {
  const char* colour;
  int dash;
};

/// Collab stands out; what it must beat is dark, its upper bound green, all else grey.
Look look_of(const std::string& arm) {
  static const std::map<std::string, Look> kLooks = {
      {"alone", {"#333333", 1}},         {"matched", {"#1f5fa8", 1}},  {"collab", {"#c0561a", 1}},    {"unguarded", {"#d99a6c", 2}},
      {"disjoint", {"#d99a6c", 4}},      {"shuffled", {"#7b4fa0", 1}}, {"untrained", {"#b8860b", 1}}, {"pooled", {"#2e8b57", 1}},
      {"shared_bottom", {"#8a8a8a", 2}}, {"mmoe", {"#8a8a8a", 3}},     {"ple", {"#8a8a8a", 4}}};
  const auto found = kLooks.find(arm);
  return found == kLooks.end() ? Look{"#8a8a8a", 1} : found->second;
}

/// 1, 2 or 5 times a power of ten that cuts `range` into at most five: gnuplot's own ticks run into each other in a narrow panel.
double tick_step(double range) {
  if (!(range > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(range / 5)));
  for (const double step : {1.0, 2.0, 5.0})
    if (range / (step * power) <= 5) return step * power;
  return 10 * power;
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string metric_text(const StudyTask& task) { return task.metric + (task.higher_is_better ? "" : " (less is better)"); }

struct Panel {
  std::string data, commands;
  std::vector<std::string> arms;  // whose curves need a legend
};

/// Arms from top to bottom; x is the metric. A mark at the mean with its standard deviation, below it each seed; a line at matched.
Panel arms_panel(const StudyTask& task, std::size_t number) {
  Panel out;
  std::string ticks, plots;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto arms = static_cast<int>(task.arms.size());
  for (int i = 0; i < arms; ++i) {
    const ArmScores& arm = task.arms[static_cast<std::size_t>(i)];
    const int y = arms - i;
    ticks += fmt::format("{}{} {}", i == 0 ? "" : ", ", quoted(arm.arm), y);
    if (!std::isfinite(arm.mean)) continue;
    const std::string seeds = fmt::format("$seeds_{}_{}", number, i), mean = fmt::format("$mean_{}_{}", number, i);
    out.data += seeds + " << EOD\n";
    for (const double value : arm.values) {
      out.data += fmt::format("{} {}\n", value, y - 0.3);
      low = std::min(low, value);
      high = std::max(high, value);
    }
    out.data += fmt::format("EOD\n{} << EOD\n{} {} {}\nEOD\n", mean, arm.mean, y, std::isfinite(arm.sd) ? arm.sd : 0);
    plots += fmt::format(", {} using 1:2 with points pt 7 ps 0.3 lc rgb '{}' notitle", seeds, look_of(arm.arm).colour);
    plots += fmt::format(", {} using 1:2:3 with xerrorbars pt 7 ps 0.9 lw 2 lc rgb '{}' notitle", mean, look_of(arm.arm).colour);
  }
  const ArmScores* matched = task.arm("matched");
  if (matched && std::isfinite(matched->mean))
    out.data += fmt::format("$line_{} << EOD\n{} 0.4\n{} {}\nEOD\n", number, matched->mean, matched->mean, arms + 0.6);
  const std::string line = matched && std::isfinite(matched->mean)
                               ? fmt::format("$line_{} with lines dt 2 lc rgb '{}' notitle", number, look_of("matched").colour)
                               : "NaN notitle";
  out.commands = fmt::format(
      "set title {}\nset xlabel {}\nset ylabel ''\nset ytics ({})\nset yrange [0.4:{}]\nset xtics {}\nset xrange [*:*]\nset offsets graph "
      "0.04, graph "
      "0.04, 0, 0\nplot {}{}\n",
      quoted(task.name), quoted(metric_text(task)), ticks, arms + 0.6, tick_step(high - low), line, plots);
  return out;
}

/// One arm's (place, mean, sd) along an axis.
struct Curve {
  std::string arm;
  std::vector<std::array<double, 3>> points;
};

struct Axes {
  std::string title, x, y;
  std::vector<std::string> ticks;  // at 0, 1, 2 ...
};

Panel curves_panel(const Axes& axes, const std::vector<Curve>& curves, std::size_t number) {
  Panel out;
  std::string ticks, plots;
  const std::size_t places = axes.ticks.size();
  for (std::size_t i = 0; i < places; ++i) ticks += fmt::format("{}{} {}", i == 0 ? "" : ", ", quoted(axes.ticks[i]), i);
  // Arms stand side by side, or their bars would hide each other.
  const double apart = std::min(0.04, 0.2 / static_cast<double>(std::max<std::size_t>(1, curves.size())));
  for (std::size_t i = curves.size(); i-- > 0;) {  // what stands first in tables lies on top
    const std::string name = fmt::format("$curve_{}_{}", number, i);
    const double shift = apart * (static_cast<double>(i) - 0.5 * static_cast<double>(curves.size() - 1));
    out.data += name + " << EOD\n";
    for (const auto& [x, mean, sd] : curves[i].points)
      if (std::isfinite(mean)) out.data += fmt::format("{} {} {}\n", x + shift, mean, std::isfinite(sd) ? sd : 0);
    out.data += "EOD\n";
    const Look look = look_of(curves[i].arm);
    const double width = curves[i].arm == "collab" ? 2.5 : 1.3;
    plots += fmt::format(", {} using 1:2 with lines lw {} dt {} lc rgb '{}' notitle", name, width, look.dash, look.colour);
    plots += fmt::format(
        ", {0} using 1:($2-$3):(0):(2*$3) with vectors nohead lw 1.2 lc rgb '{1}' notitle, {0} using 1:2 with points pt 7 ps 0.5 lc rgb "
        "'{1}' notitle",
        name, look.colour);
    out.arms.push_back(curves[i].arm);
  }
  out.commands = fmt::format(
      "set title {}\nset xlabel {}\nset ylabel {}\nset ytics auto\nset yrange [*:*]\nset xtics ({})\nset xrange [-0.4:{}]\nset offsets 0, "
      "0, graph "
      "0.05, graph 0.05\nplot NaN notitle{}\n",
      quoted(axes.title), quoted(axes.x), quoted(axes.y), ticks, static_cast<double>(places) - 0.6, plots);
  return out;
}

const StudyTask* find_task(const StudyCell& cell, const std::string& name) {
  const auto found = std::find_if(cell.tasks.begin(), cell.tasks.end(), [&](const StudyTask& t) { return t.name == name; });
  return found == cell.tasks.end() ? nullptr : &*found;
}

/// cells[i] stands at x = i. Arms named in `only`, or all when it is empty.
std::vector<Curve> curves_of(const std::vector<const StudyCell*>& cells, const std::string& task, const std::vector<std::string>& only) {
  std::vector<Curve> out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const StudyTask* here = find_task(*cells[i], task);
    if (!here) continue;
    for (const ArmScores& arm : here->arms) {
      if (!only.empty() && std::find(only.begin(), only.end(), arm.arm) == only.end()) continue;
      auto curve = std::find_if(out.begin(), out.end(), [&](const Curve& c) { return c.arm == arm.arm; });
      if (curve == out.end()) curve = out.insert(out.end(), {arm.arm, {}});
      curve->points.push_back({static_cast<double>(i), arm.mean, arm.sd});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Curve& a, const Curve& b) { return arm_place(a.arm) < arm_place(b.arm); });
  return out;
}

void add_sweep(const char* what, const std::map<std::int64_t, StudyPart>& sweep, std::vector<Panel>& panels) {
  std::vector<std::string> names;
  std::vector<const StudyCell*> cells;
  for (const auto& [value, part] : sweep) {
    if (part.cells.empty()) continue;
    names.push_back(std::to_string(value));
    cells.push_back(&part.cells.back());  // with the most labels
  }
  if (cells.empty()) return;
  for (const StudyTask& task : cells.front()->tasks)
    panels.push_back(curves_panel({.title = fmt::format("{}, {} labels", task.name, labels_text(cells.front()->labels)),
                                   .x = what,
                                   .y = metric_text(task),
                                   .ticks = names},
                                  curves_of(cells, task.name, {"matched", "collab", "shuffled", "untrained"}), panels.size()));
}

std::vector<Panel> panels_of(const Study& study) {
  std::vector<Panel> panels;
  const std::vector<StudyCell>& cells = study.base.cells;
  if (cells.size() == 1)
    for (const StudyTask& task : cells.front().tasks) panels.push_back(arms_panel(task, panels.size()));
  if (cells.size() > 1) {
    std::vector<std::string> names;
    std::vector<const StudyCell*> all;
    for (const StudyCell& cell : cells) names.push_back(labels_text(cell.labels)), all.push_back(&cell);
    for (const StudyTask& task : cells.front().tasks)
      panels.push_back(curves_panel({.title = task.name, .x = "training labels", .y = metric_text(task), .ticks = names},
                                    curves_of(all, task.name, {}), panels.size()));
  }
  add_sweep("steps between ticks", study.every, panels);
  add_sweep("values of a shared vector", study.width, panels);
  return panels;
}

/// One for all panels, in a strip of its own: below each panel it would be as large as the panel.
std::string legend(const std::vector<Panel>& panels) {
  std::vector<std::string> arms;
  for (const Panel& panel : panels)
    for (const std::string& arm : panel.arms)
      if (std::find(arms.begin(), arms.end(), arm) == arms.end()) arms.push_back(arm);
  std::stable_sort(arms.begin(), arms.end(), [](const std::string& a, const std::string& b) { return arm_place(a) < arm_place(b); });
  std::string plots;
  for (const std::string& arm : arms)
    plots += fmt::format("{}NaN with lines lw {} dt {} lc rgb '{}' title {}", plots.empty() ? "" : ", ", arm == "collab" ? 2.5 : 1.3,
                         look_of(arm).dash, look_of(arm).colour, quoted(arm));
  return plots;
}

}  // namespace

bool draw_study(const std::filesystem::path& file, const Study& study) {
  const std::vector<Panel> panels = panels_of(study);
  if (panels.empty()) return false;
  const StudyCell& first = study.base.cells.front();
  const std::size_t columns = std::min<std::size_t>(3, first.tasks.size()), rows = (panels.size() + columns - 1) / columns;
  const std::string curves = legend(panels);
  const double head = 36, row = 340, foot = curves.empty() ? 4 : 60, height = head + row * static_cast<double>(rows) + foot;
  std::string script = plot_head(file, std::max(560, 400 * static_cast<int>(columns)), static_cast<int>(height));
  for (const Panel& panel : panels) script += panel.data;
  const std::size_t seeds = first.seeds.size();
  script += "unset key\n";
  const std::string shown = seeds == 1 ? "one seed" : fmt::format("mean over {} seeds, bars of one standard deviation", seeds);
  script += fmt::format("set multiplot title {}\n", quoted(study.info.subject + ": " + shown));
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const double below = foot + row * static_cast<double>(rows - 1 - i / columns);
    script += fmt::format("set origin {},{}\nset size {},{}\n", static_cast<double>(i % columns) / static_cast<double>(columns),
                          below / height, 1.0 / static_cast<double>(columns), row / height);
    script += panels[i].commands;
  }
  if (!curves.empty())
    script += fmt::format(
        "set origin 0,0\nset size 1,{}\nunset border\nunset tics\nunset grid\nset title ''\nset xlabel ''\nset ylabel ''\nset xrange "
        "[0:1]\nset yrange "
        "[0:1]\nset key center center horizontal maxrows 2\nplot {}\n",
        foot / height, curves);
  return run_plot(file, script + "unset multiplot\n");
}

}  // namespace chorale
