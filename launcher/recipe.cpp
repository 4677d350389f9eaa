#include "recipe.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>

#include <chorale/core/base/error.hpp>

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

}  // namespace

void read_recipe(const std::string& path, OptionTable& table) {
  std::ifstream in(path);
  if (std::filesystem::is_directory(path)) throw UsageError(path + " is a folder; train takes a recipe, as in chorale train my.ini");
  if (!in) throw UsageError(path + ": the recipe cannot be read; check the path");
  std::map<std::string, int> seen;
  std::string line, section;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string where = path + ":" + std::to_string(number) + ": ";
    const std::string_view text = trimmed(without_comment(line));
    if (text.empty()) continue;
    if (text.front() == '[') {
      if (text.back() != ']') throw UsageError(where + "section '" + std::string(text) + "' lacks its closing ]");
      section = std::string(trimmed(text.substr(1, text.size() - 2)));
      continue;
    }
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) throw UsageError(where + "expected key = value, got '" + std::string(text) + "'");
    if (section.empty()) throw UsageError(where + "a key stands before any [section]");
    const std::string key = section + "." + std::string(trimmed(text.substr(0, equals)));
    if (const auto [first, is_new] = seen.emplace(key, number); !is_new)
      throw UsageError(where + "key " + key + " is given twice, first in line " + std::to_string(first->second));
    try {
      table.set(key, trimmed(text.substr(equals + 1)), path + ":" + std::to_string(number));
    } catch (const UsageError& error) {
      throw UsageError(where + error.what());
    }
  }
  if (in.bad()) throw IoError(path + ": reading the recipe failed");
  if (seen.empty()) throw UsageError(path + ": the recipe is empty; it needs at least [data] with file and target");
}

}  // namespace chorale
