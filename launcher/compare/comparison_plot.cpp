// A comparison as a picture: how each setting came to its score, and how far its runs lie apart.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <chorale/core/base/excerpt.hpp>
#include <chorale/launcher/compare/comparison.hpp>
#include <chorale/launcher/plot.hpp>

namespace chorale {

namespace {
constexpr std::array<const char*, 8> kColours = {"#1f5fa8", "#c0561a", "#2f8f4e", "#8a3fa0", "#b59a00", "#1d9aa3", "#a02c4b", "#666666"};

std::string colour(std::size_t setting) { return kColours[setting % kColours.size()]; }

/// A run a curve, the colour says of which setting.
std::string curves(const Comparison& c, const std::string& metric) {
  std::string words, data;
  for (std::size_t s = 0; s < c.settings.size(); ++s) {
    bool has_title = false;
    for (const RunRecord* run : c.settings[s].runs) {
      const auto found = run->validation.find(metric);
      if (found == run->validation.end() || found->second.empty()) continue;
      words += fmt::format("{}'-' using 1:2 with lines lw 1.5 lc rgb '{}' {}", words.empty() ? "plot " : ", ", colour(s),
                           has_title ? "notitle" : "title " + plot_text(excerpt(c.settings[s].text, 48)));
      has_title = true;
      for (const auto& [x, y] : found->second) data += fmt::format("{} {}\n", x, y);
      data += "e\n";
    }
  }
  return words.empty() ? "" : words + "\n" + data;
}

/// The runs' values as points, their mean as a line, settings from left to right.
std::string points(const Comparison& c, const Comparison::Metric& metric) {
  std::string words, data, ticks;
  for (std::size_t s = 0; s < c.settings.size(); ++s) {
    const ComparedScore& score = metric.scores[s];
    ticks += fmt::format("{}'{}' {}", s == 0 ? "" : ", ", s + 1, s + 1);
    if (score.values.empty()) continue;
    words += fmt::format("{}'-' using 1:2 with points pt 7 ps 0.7 lc rgb '{}' notitle, '-' using 1:2 with lines lw 3 lc rgb '{}' notitle",
                         words.empty() ? "plot " : ", ", colour(s), colour(s));
    for (std::size_t i = 0; i < score.values.size(); ++i)
      data += fmt::format("{} {}\n",
                          static_cast<double>(s + 1) +
                              0.12 * (static_cast<double>(i) / std::max<double>(1, static_cast<double>(score.values.size() - 1)) - 0.5),
                          score.values[i]);
    data += fmt::format("e\n{} {}\n{} {}\ne\n", static_cast<double>(s) + 0.75, score.mean, static_cast<double>(s) + 1.25, score.mean);
  }
  return fmt::format("set xtics ({})\nset xrange [0.5:{}]\n", ticks, static_cast<double>(c.settings.size()) + 0.5) + words + "\n" + data;
}
}  // namespace

bool draw_comparison(const std::filesystem::path& file, const Comparison& c, const std::string& metric) {
  const auto found = std::find_if(c.metrics.begin(), c.metrics.end(), [&](const Comparison::Metric& m) { return m.name == metric; });
  if (found == c.metrics.end()) return false;
  const std::string left = curves(c, metric);
  std::string script = plot_head(file, left.empty() ? 480 : 960, 420);
  script += fmt::format("set multiplot layout 1,{}\n", left.empty() ? 1 : 2);
  if (!left.empty())
    script +=
        "set key tmargin left reverse Left maxcols 1\nset xlabel 'updates'\nset ylabel " + plot_text("validation " + metric) + "\n" + left;
  script += "set xlabel 'setting, in the order of the table'\nset ylabel " + plot_text(c.part + " " + metric) + "\n" + points(c, *found);
  return run_plot(file, script + "unset multiplot\n");
}

}  // namespace chorale
