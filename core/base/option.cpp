#include <chorale/core/base/option.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {

namespace {

std::string number_text(double value) {
  char text[40];
  for (int digits = 6; digits <= 17; ++digits) {  // the shortest form that reads back equal
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) break;
  }
  return text;
}

std::string range_text(const OptionExtra& extra) {
  const bool low = std::isfinite(extra.min), high = std::isfinite(extra.max);
  if (low && high) return number_text(extra.min) + " to " + number_text(extra.max);
  if (low) return "at least " + number_text(extra.min);
  if (high) return "at most " + number_text(extra.max);
  return "";
}

[[noreturn]] void refuse(const std::string& key, std::string_view value, const std::string& allowed) {
  throw UsageError(key + " = " + excerpt(value) + " is refused: " + allowed);
}

double checked_number(const std::string& key, std::string_view value, const OptionExtra& extra, std::string_view type) {
  const std::string text(value);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool whole = type != "integer" || (std::isfinite(number) && number == std::floor(number) && std::fabs(number) <= 0x1p53);
  if (text.empty() || end != text.c_str() + text.size() || !std::isfinite(number) || !whole)
    refuse(key, value, "expected " + std::string(type == "integer" ? "an integer" : "a number"));
  if (number < extra.min || number > extra.max) refuse(key, value, "allowed is " + range_text(extra));
  return number;
}

bool parts_words(char c) { return c == ' ' || c == ',' || c == '\t'; }

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

/// What a recipe's line would take for its edge, a comment or quotes.
bool needs_quotes(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  if (text.empty()) return false;
  if (text.front() == '"' || text.front() == '#') return true;
  if (kBlanks.find(text.front()) != std::string_view::npos || kBlanks.find(text.back()) != std::string_view::npos) return true;
  return text.find(" #") != std::string_view::npos || text.find("\t#") != std::string_view::npos;
}

/// A value of a recipe is one line, whoever gives it.
void refuse_control_characters(std::string_view key, std::string_view value) {
  const auto is_control = [](unsigned char c) { return (c < 32 && c != '\t' && c != '\r') || c == 127; };
  if (key.find('.') != std::string_view::npos && std::any_of(value.begin(), value.end(), is_control))
    refuse(std::string(key), value, "a control character stands in it, which no line of a recipe can hold");
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    if (parts_words(text[at])) {
      ++at;
      continue;
    }
    std::string& word = words.emplace_back();
    if (text[at] != '"') {
      for (; at < text.size() && !parts_words(text[at]); ++at) word += text[at];
      continue;
    }
    for (++at;; ++at) {
      if (at >= text.size())
        throw UsageError("the quote before '" + excerpt(word) + "' is not closed; write \"...\" around a name with blanks");
      const bool quote = text[at] == '"';
      if (quote && (at + 1 == text.size() || text[at + 1] != '"')) break;
      if (quote) ++at;
      word += text[at];
    }
    ++at;
  }
  return words;
}

std::string list_text(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (word.empty()) continue;
    if (!out.empty()) out += ' ';
    if (word.find_first_of(" ,\t\"#") == std::string::npos) {
      out += word;
      continue;
    }
    out += in_quotes(word);
  }
  return out;
}

std::string recipe_value(const Option& option) {
  const std::string text = option.text();
  return option.type == "text" && !option.verbatim && needs_quotes(text) ? in_quotes(text) : text;
}

std::string unquoted(std::string_view value) {
  std::string out;
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  const std::string_view inside = value.substr(1, value.size() - 2);
  for (std::size_t at = 0; at < inside.size(); ++at) {
    if (inside[at] == '"' && (at + 1 == inside.size() || inside[++at] != '"'))
      return std::string(value);  // these quotes end before the text
    out += inside[at];
  }
  return out;
}

Option& OptionTable::declare(std::string key, std::string help, OptionExtra& extra) {
  if (find(key)) throw InternalError("option declared twice: " + key);
  Option& option = options_.emplace_back();
  option.key = std::move(key);
  option.help = std::move(help);
  option.range = range_text(extra);
  option.short_flag = extra.short_flag;
  option.mathematics = extra.mathematics;
  option.verbatim = extra.verbatim;
  return option;
}

void OptionTable::add(std::string key, std::int64_t& field, std::string help, OptionExtra extra) {
  Option& option = declare(key, std::move(help), extra);
  option.type = "integer";
  option.parse = [key, extra, &field](std::string_view value) {
    field = static_cast<std::int64_t>(checked_number(key, value, extra, "integer"));
  };
  option.text = [&field] { return std::to_string(field); };
  option.default_text = option.text();
}

void OptionTable::add(std::string key, double& field, std::string help, OptionExtra extra) {
  Option& option = declare(key, std::move(help), extra);
  option.type = "number";
  option.parse = [key, extra, &field](std::string_view value) { field = checked_number(key, value, extra, "number"); };
  option.text = [&field] { return number_text(field); };
  option.default_text = option.text();
}

void OptionTable::add(std::string key, bool& field, std::string help, OptionExtra extra) {
  Option& option = declare(key, std::move(help), extra);
  option.type = "switch";
  option.range = "true or false";
  option.parse = [key, &field](std::string_view value) {
    if (value == "true" || value == "on" || value == "yes" || value == "1")
      field = true;
    else if (value == "false" || value == "off" || value == "no" || value == "0")
      field = false;
    else
      refuse(key, value, "expected true or false");
  };
  option.text = [&field] { return std::string(field ? "true" : "false"); };
  option.default_text = option.text();
}

void OptionTable::add(std::string key, std::string& field, std::string help, OptionExtra extra) {
  Option& option = declare(key, std::move(help), extra);
  option.type = "text";
  for (const std::string& choice : extra.choices) option.range += (option.range.empty() ? "" : " | ") + choice;
  option.parse = [key, choices = extra.choices, range = option.range, check = extra.check, &field](std::string_view value) {
    bool known = choices.empty();
    for (const std::string& choice : choices) known = known || choice == value;
    if (!known) {
      const std::string near = nearest_name(value, choices);
      refuse(key, value, (near.empty() ? "" : "did you mean " + near + "? ") + std::string("allowed is ") + range);
    }
    if (check) check(std::string(value));
    field = std::string(value);
  };
  option.text = [&field] { return field; };
  option.default_text = field;
}

void OptionTable::add(std::string key, std::vector<std::string>& field, std::string help, OptionExtra extra) {
  Option& option = declare(key, std::move(help), extra);
  option.type = "list";
  option.parse = [key, check = extra.check, adds_up = extra.adds_up, &field](std::string_view value) {
    try {
      const std::vector<std::string> words = words_of(value);
      if (!adds_up) field.clear();
      field.insert(field.end(), words.begin(), words.end());
    } catch (const UsageError& error) {
      refuse(key, value, error.what());
    }
    if (check) check(std::string(value));
  };
  option.text = [&field] { return list_text(field); };
  option.default_text = option.text();
}

void OptionTable::set(std::string_view key, std::string_view value, std::string origin) {
  for (Option& option : options_) {
    if (option.key != key && (option.short_flag.empty() || option.short_flag != key)) continue;
    refuse_control_characters(key, value);
    option.parse(value);
    option.given = true;
    option.origin = std::move(origin);
    return;
  }
  std::vector<std::string> known;
  for (const Option& option : options_) known.push_back(option.key);
  const std::string near = nearest_name(key.substr(0, 80), known);
  throw UsageError("key '" + excerpt(key) + "' is unknown; " +
                   (near.empty() ? "chorale help recipe lists all" : "did you mean '" + near + "'?"));
}

std::string OptionTable::located(const std::string& error) const {
  const Option* first = nullptr;
  std::size_t first_at = std::string::npos;
  for (const Option& option : options_) {
    const std::size_t at = error.find(option.key), end = at + option.key.size();
    if (at == std::string::npos || option.key.find('.') == std::string::npos) continue;
    if (end < error.size() && (std::isalnum(static_cast<unsigned char>(error[end])) || error[end] == '_')) continue;  // of a longer key
    if (at < first_at) first = &option, first_at = at;
  }
  return first && !first->origin.empty() ? first->origin + ": " + error : error;
}

const Option* OptionTable::find(std::string_view key) const {
  for (const Option& option : options_)
    if (option.key == key || (!option.short_flag.empty() && option.short_flag == key)) return &option;
  return nullptr;
}

}  // namespace chorale
