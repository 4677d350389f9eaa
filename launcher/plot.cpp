#include <chorale/launcher/plot.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>

#include <chorale/launcher/spawn/child.hpp>

namespace chorale {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }

}  // namespace

std::string plot_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, is_control(c) ? ' ' : c);
  return out + "'";
}

std::string plot_head(const std::filesystem::path& file, int width, int height) {
  return "set terminal svg size " + std::to_string(width) + "," + std::to_string(height) +
         " background rgb 'white' font 'sans,12' noenhanced\nset output " + plot_text(file.string()) +
         "\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n";
}

bool run_plot(const std::filesystem::path& file, const std::string& script) {
  if (std::ranges::any_of(file.string(), is_control)) return false;
  std::filesystem::path beside = file;
  beside.replace_extension(".gnuplot");
  std::ofstream(beside) << script;
  const pid_t child = start_child({"gnuplot", beside.string()}, {.output = "/dev/null", .messages = "/dev/null"});
  int status = 1;
  if (!ended_within(child, std::chrono::seconds(30), status)) {
    ::kill(-child, SIGKILL);
    ended_within(child, std::chrono::seconds(5), status);
    status = 1;
  }
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  return status == 0;
}

}  // namespace chorale
