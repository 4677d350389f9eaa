// scale.svg: throughput with the line of perfect scaling on the left; efficiency and communication that was not hidden on the right.
#include <fmt/format.h>

#include <algorithm>

#include <chorale/launcher/plot.hpp>
#include <chorale/launcher/scaling.hpp>

namespace chorale {

namespace {

/// "x median min max" a line, as `yerrorbars` reads it.
std::string block(const char* name, const Scaling& s, Spread ScalePoint::*what, double factor) {
  std::string out = fmt::format("${} << EOD\n", name);
  for (const ScalePoint& p : s.points)
    out += fmt::format("{} {} {} {}\n", p.ranks, factor * (p.*what).median, factor * (p.*what).min, factor * (p.*what).max);
  return out + "EOD\n";
}

std::string ticks(const Scaling& s) {
  std::string out;
  for (const ScalePoint& p : s.points) out += (out.empty() ? "" : ", ") + std::to_string(p.ranks);
  return out;
}

std::string curve(const char* name, const char* colour, const std::string& title) {
  return fmt::format(
      "${0} using 1:2 with lines lw 2 lc rgb '{1}' notitle, ${0} using 1:2:3:4 with yerrorbars lw 1.5 pt 7 ps 0.6 lc rgb '{1}' "
      "title '{2}'",
      name, colour, title);
}

}  // namespace

bool draw_scaling(const std::filesystem::path& file, const Scaling& s) {
  const ScalePoint& first = s.points.front();
  double most = 0;
  for (const ScalePoint& p : s.points) most = std::max(most, p.samples_per_second.max);
  const double unit = most >= 1e6 ? 1e6 : most >= 1e4 ? 1e3 : 1;
  const double slope = first.samples_per_second.median / unit / first.ranks;
  std::string script = plot_head(file, 960, 400);
  script += block("speed", s, &ScalePoint::samples_per_second, 1 / unit) + block("efficiency", s, &ScalePoint::efficiency, 1) +
            block("exposed", s, &ScalePoint::exposed, 1);
  script += "set multiplot layout 1,2 title " +
            plot_text(fmt::format("{} scaling of {}: median of {}, bars from min to max", s.mode, s.subject, s.repeat)) + "\n";
  script += fmt::format("set xlabel 'ranks'\nset xtics ({})\nset xrange [{}:{}]\nset yrange [0:*]\n", ticks(s), 0.8 * first.ranks,
                        s.points.back().ranks + 0.2 * first.ranks);
  script += fmt::format("set key tmargin center horizontal maxrows 1\nset ylabel '{}samples/s'\n", unit == 1e6   ? "million "
                                                                                                   : unit == 1e3 ? "thousand "
                                                                                                                 : "");
  script += fmt::format("plot {} * x with lines dt 2 lc rgb '#888888' title 'perfect', {}\n", slope, curve("speed", "#1f5fa8", "measured"));
  script += "set ylabel 'share'\nset yrange [0:1.2]\n";
  script += fmt::format("plot 1 with lines dt 2 lc rgb '#888888' notitle, {}, {}\nunset multiplot\n",
                        curve("efficiency", "#1f5fa8", "efficiency"), curve("exposed", "#c0561a", "communication not hidden"));
  return run_plot(file, script);
}

}  // namespace chorale
