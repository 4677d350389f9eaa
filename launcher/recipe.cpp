#include "recipe.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// A # starts a comment at the line's start or after a blank, so that a column named a#b stays whole; not inside quotes that are closed.
std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      const std::size_t closed = line.find('"', i + 1);
      if (closed != std::string_view::npos) i = closed;
    } else if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
      return line.substr(0, i);
    }
  }
  return line;
}

/// The whole recipe; a device or a file of data does not fill the memory.
std::string text_of(const std::string& path) {
  constexpr std::streamsize kLongest = 1 << 20;
  if (std::filesystem::is_directory(path)) throw UsageError(path + " is a folder; train takes a recipe, as in chorale train my.ini");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw UsageError(excerpt(path, 4096) + ": the recipe cannot be read; check the path");
  std::string text(static_cast<std::size_t>(kLongest) + 1, '\0');
  in.read(text.data(), kLongest + 1);
  if (in.bad()) throw IoError(path + ": reading the recipe failed");
  if (in.gcount() > kLongest) throw UsageError(path + ": is longer than 1 MiB, so it is no recipe");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

bool is_odd_control(char c) { return (static_cast<unsigned char>(c) < 32 && c != '\t' && c != '\r') || c == 127; }

}  // namespace

void read_recipe(const std::string& path, OptionTable& table) {
  std::istringstream in(text_of(path));
  std::map<std::string, int> seen;
  std::string line, section;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string where = path + ":" + std::to_string(number) + ": ";
    if (std::any_of(line.begin(), line.end(), is_odd_control))
      throw UsageError(where + "a control character stands in the line; a recipe is plain text");
    const std::string_view text = trimmed(without_comment(line));
    if (text.empty()) continue;
    if (text.front() == '[') {
      if (text.back() != ']') throw UsageError(where + "section '" + excerpt(text) + "' lacks its closing ]");
      section = std::string(trimmed(text.substr(1, text.size() - 2)));
      continue;
    }
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) throw UsageError(where + "expected key = value, got '" + excerpt(text) + "'");
    if (section.empty()) throw UsageError(where + "a key stands before any [section]");
    const std::string key = section + "." + std::string(trimmed(text.substr(0, equals)));
    if (const auto [first, is_new] = seen.emplace(key, number); !is_new)
      throw UsageError(where + "key " + excerpt(key) + " is given twice, first in line " + std::to_string(first->second));
    std::string_view value = trimmed(text.substr(equals + 1));
    if (value.starts_with('#')) value = {};  // "key =# y": written out with a blank it would be a comment
    const Option* option = table.find(key);
    try {
      table.set(key, option && option->type == "text" && !option->verbatim ? unquoted(value) : std::string(value),
                path + ":" + std::to_string(number));
    } catch (const UsageError& error) {
      throw UsageError(where + error.what());
    }
  }
  if (seen.empty()) throw UsageError(path + ": the recipe is empty; it needs at least [data] with file and target");
}

}  // namespace chorale
