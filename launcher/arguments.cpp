#include <chorale/launcher/arguments.hpp>

#include <fmt/format.h>

#include <boost/program_options.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {

namespace {

namespace po = boost::program_options;

bool is_switch(const Option& option) { return option.type == "switch" && option.key.find('.') == std::string::npos; }

/// "n" of "-n"; empty: it has none.
std::string letter_of(const std::string& key) { return key == "ranks" ? "n" : key == "export" ? "x" : ""; }

po::options_description described(const OptionTable& table) {
  po::options_description out;
  for (const Option& option : table.all()) {
    const std::string letter = letter_of(option.key), shown = option.key + (letter.empty() ? "" : "," + letter);
    if (is_switch(option))
      out.add_options()(shown.c_str(), po::bool_switch());
    else
      out.add_options()(shown.c_str(), po::value<std::string>());
    if (!option.short_flag.empty()) out.add_options()(option.short_flag.c_str(), po::value<std::string>());
  }
  out.add_options()("word", po::value<std::vector<std::string>>());
  return out;
}

[[noreturn]] void refuse_unknown(const std::string& flag, const OptionTable& table) {
  std::vector<std::string> known;
  for (const Option& option : table.all()) {
    known.push_back(option.key);
    if (!option.short_flag.empty()) known.push_back(option.short_flag);
  }
  std::string word = flag;
  while (!word.empty() && word.front() == '-') word.erase(word.begin());
  const std::string near = nearest_name(word, known);
  throw UsageError("option '" + flag + "' is unknown" + (near.empty() ? "; --help lists all" : "; did you mean --" + near + "?"));
}

std::string section_of(const std::string& key) {
  const std::size_t dot = key.find('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

}  // namespace

std::vector<std::string> read_flags(std::span<const std::string> words, OptionTable& table, std::size_t most) {
  std::vector<std::string> rest;
  try {
    const po::parsed_options parsed = po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
                                          .options(described(table))
                                          .positional(po::positional_options_description().add("word", -1))
                                          .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
                                          .allow_unregistered()
                                          .run();
    for (const po::option& o : parsed.options) {
      if (o.position_key >= 0) {
        rest.push_back(o.value.front());
      } else if (o.unregistered) {
        refuse_unknown(o.original_tokens.empty() ? o.string_key : o.original_tokens.front(), table);
      } else {
        const bool given = !o.value.empty();
        table.set(o.string_key == "-n" ? "ranks" : o.string_key == "-x" ? "export" : o.string_key, given ? o.value.front() : "true");
      }
    }
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  if (rest.size() > most) throw UsageError("'" + rest[most] + "' is one word too many; --help shows the usage");
  return rest;
}

std::string help_text(const OptionTable& table) {
  std::string out, section;
  for (const Option& o : table.all()) {
    if (section_of(o.key) != section) out += "\n";
    section = section_of(o.key);
    std::string flag = (letter_of(o.key).empty() ? "" : "-" + letter_of(o.key) + ", ") + "--" + o.key +
                       (o.short_flag.empty() ? "" : ", --" + o.short_flag);
    out += fmt::format("  {:<34} {:<8} {}\n", flag, o.type, o.help);
    std::string more = o.default_text.empty() ? "" : "default " + o.default_text;
    if (!o.range.empty()) more += (more.empty() ? "" : "; ") + o.range;
    if (!more.empty()) out += fmt::format("  {:<34} {:<8}   {}\n", "", "", more);
  }
  return out;
}

std::string JsonTable::help() const { return help_text(table_); }

namespace {
/// A bar would end the table's cell.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}
}  // namespace

std::string help_markdown(const OptionTable& table) {
  std::string out, section;
  for (const Option& o : table.all()) {
    if (section_of(o.key).empty()) continue;
    if (section_of(o.key) != section) {
      section = section_of(o.key);
      out += fmt::format("\n## [{}]\n\n| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n", section);
    }
    out += fmt::format("| `{}`{} | {} | {} | {} | {} |\n", o.key.substr(section.size() + 1),
                       o.short_flag.empty() ? "" : " (`--" + o.short_flag + "`)", o.type,
                       o.default_text.empty() ? "" : "`" + o.default_text + "`", escaped(o.range), escaped(o.help));
  }
  return out;
}

std::string resolved_recipe(const OptionTable& table) {
  std::string out, section;
  for (const Option& o : table.all()) {
    if (section_of(o.key).empty() || (o.text().empty() && !o.given)) continue;
    if (section_of(o.key) != section) {
      out += (section.empty() ? "[" : "\n[") + section_of(o.key) + "]\n";
      section = section_of(o.key);
    }
    out += fmt::format("{} = {}\n", o.key.substr(section.size() + 1), recipe_value(o));
  }
  return out;
}

}  // namespace chorale
