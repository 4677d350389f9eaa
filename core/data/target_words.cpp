#include <chorale/core/data/target_words.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {

namespace {

/// Cut at commas outside of quotes.
std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

struct Group {
  std::string target;  // empty: every target's
  std::vector<std::string> words;
};

/// "NAME :" or "NAME:" begins a group.
std::vector<Group> groups_of(const std::vector<std::string>& words) {
  std::vector<Group> out(1);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() > 1 && words[i].back() == ':')
      out.push_back({words[i].substr(0, words[i].size() - 1), {}});
    else if (i + 1 < words.size() && words[i + 1] == ":")
      out.push_back({words[i++], {}});
    else
      out.back().words.push_back(words[i]);
  }
  return out;
}

}  // namespace

std::vector<std::string> target_names(const std::string& text) {
  std::vector<std::string> out;
  if (trimmed(text).empty()) return out;
  for (const std::string& piece : pieces_of(text)) {
    std::string name = trimmed(piece);
    if (name.starts_with('"')) name = words_of(name).at(0);
    if (name.empty()) throw UsageError("data.target = " + text + " is refused: a name is missing beside a comma; write income, marital");
    if (std::find(out.begin(), out.end(), name) != out.end())
      throw UsageError("data.target = " + text + " is refused: '" + name + "' stands there twice; remove one");
    out.push_back(std::move(name));
  }
  return out;
}

std::vector<std::string> target_fields(const std::vector<std::string>& names) {
  if (names.size() == 1) return {"target"};
  std::vector<std::string> out;
  for (const std::string& name : names) out.push_back("target." + name);
  return out;
}

std::vector<std::string> words_of_target(const std::string& key, const std::vector<std::string>& words,
                                         const std::vector<std::string>& targets, std::size_t t) {
  const std::vector<Group> groups = groups_of(words);
  const std::string refused = key + " = " + list_text(words) + " is refused: ";
  if (groups.size() > 1 && !groups[0].words.empty())
    throw UsageError(refused + "'" + groups[0].words[0] + "' belongs to no target; write NAME : in front of each target's words");
  if (groups.size() == 1) return words;
  const std::vector<std::string>* found = nullptr;
  std::vector<std::string> seen;
  for (std::size_t g = 1; g < groups.size(); ++g) {
    const std::string& name = groups[g].target;
    if (std::find(targets.begin(), targets.end(), name) == targets.end()) {
      const std::string near = nearest_name(name, targets);
      throw UsageError(refused + "data.target has no '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) throw UsageError(refused + "'" + name + "' stands there twice");
    seen.push_back(name);
    if (name == targets[t]) found = &groups[g].words;
  }
  return found ? *found : std::vector<std::string>();
}

}  // namespace chorale
