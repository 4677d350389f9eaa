#include <chorale/launcher/supervisor/last_lines.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {
constexpr std::size_t kMost = 3, kMostBytes = 400;

struct Line {
  std::string time, text;
  int times = 1;
};

std::string text_in(const nlohmann::json& json, const char* key) {
  return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}
}  // namespace

std::vector<std::string> LastLines::of(const std::filesystem::path& log, const std::string& since, const std::string& known) {
  std::deque<Line> last;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || text_in(json, "time") < since) continue;
    std::string text = printable(text_in(json, "text"));
    if (text.size() > kMostBytes) text = text.substr(0, kMostBytes) + " ...";
    if (text.empty() || (!known.empty() && printable(known).find(text) != std::string::npos) || given_.contains(text)) continue;
    const auto same = std::find_if(last.begin(), last.end(), [&](const Line& l) { return l.text == text; });
    const int times = same == last.end() ? 1 : same->times + 1;
    if (same != last.end()) last.erase(same);
    last.push_back({text_in(json, "time"), std::move(text), times});
    if (last.size() > kMost) last.pop_front();
  }
  std::vector<std::string> out;
  for (const Line& line : last) {
    given_.insert(line.text);
    out.push_back(fmt::format("{}: {}{}", line.time, line.text, line.times > 1 ? fmt::format(" ({} times)", line.times) : ""));
  }
  return out;
}

}  // namespace chorale
