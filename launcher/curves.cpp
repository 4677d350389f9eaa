// curves.svg: loss of both parts above, validation scores below, over updates. Drawn by gnuplot from the lines of metrics.jsonl.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include <chorale/launcher/run_files.hpp>

namespace chorale {

namespace {

using Points = std::vector<std::pair<double, double>>;

std::map<std::string, Points> read_points(const std::filesystem::path& folder) {
  std::map<std::string, Points> out;
  std::ifstream in(folder / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_discarded() || j.value("event", "") != "evaluation") continue;
    for (const auto& [part, scores] : j["metrics"].items())
      for (const auto& [name, value] : scores.items())
        if (value.is_number()) out[part + " " + name].emplace_back(j["step"].get<double>(), value.get<double>());
  }
  return out;
}

std::string plot_of(const std::map<std::string, Points>& curves, bool losses) {
  std::string words, data;
  for (const auto& [name, points] : curves) {
    const bool is_loss = name.size() > 5 && name.substr(name.size() - 5) == " loss";
    if (is_loss != losses || points.empty()) continue;
    words += (words.empty() ? "plot " : ", ") + std::string("'-' using 1:2 with linespoints lw 2 pt 7 ps 0.4 title '") + name + "'";
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
  std::string program =
      "set terminal svg size 800,640 background rgb 'white' font 'sans,12' noenhanced\nset output '" + (folder / "curves.svg").string() +
      "'\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\nset key outside right\nset multiplot layout 2,1\nset ylabel 'loss'\n";
  program += above + "set ylabel 'validation'\nset xlabel 'updates'\n" + below + "unset multiplot\n";
  const std::string script = (folder / "curves.gnuplot").string();
  std::ofstream(script) << program;
  const pid_t child = ::fork();
  if (child == 0) {
    ::freopen("/dev/null", "w", stderr) ? void() : void();
    ::execlp("gnuplot", "gnuplot", script.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 1;
  const bool drawn = child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::error_code ignored;
  std::filesystem::remove(script, ignored);
  return drawn;
}

}  // namespace chorale
