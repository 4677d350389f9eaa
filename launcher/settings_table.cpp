#include <chorale/launcher/settings_table.hpp>

#include <fmt/format.h>

namespace chorale {

std::string settings_table(const OptionTable& table) {
  constexpr std::size_t kWidth = 110;
  std::string out, section, line;
  const auto finish = [&] {
    if (!line.empty()) out += line + "\n";
    line.clear();
  };
  for (const Option& option : table.all()) {
    const std::size_t dot = option.key.find('.');
    const std::string value = option.text();
    if (dot == std::string::npos || value.empty()) continue;
    const std::string pair = option.key.substr(dot + 1) + " = " + value;
    if (option.key.substr(0, dot) != section) {
      finish();
      section = option.key.substr(0, dot);
      line = fmt::format("  {:<16} {}", section, pair);
    } else if (line.size() + pair.size() + 2 > kWidth) {
      line += ",";
      finish();
      line = fmt::format("  {:<16} {}", "", pair);
    } else {
      line += ", " + pair;
    }
  }
  finish();
  return out;
}

}  // namespace chorale
