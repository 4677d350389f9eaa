// A command's words against its option table: flags through Boost.Program_options, the rest by position. Also the help that the same table
// gives.
#pragma once
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/option.hpp>

namespace chorale {

/// Sets every `--key VALUE` (also -n for ranks) in `table` and returns what is no flag. Switches take no value, or one after =.
/// Throws UsageError for an unknown flag (with the nearest), a missing value, or more than `most` words beside the flags.
std::vector<std::string> read_flags(std::span<const std::string> words, OptionTable& table, std::size_t most);

/// The table of a command whose one option is --json.
class JsonTable {
 public:
  JsonTable() { table_.add("json", json_, "One object."); }
  JsonTable(const JsonTable&) = delete;
  JsonTable& operator=(const JsonTable&) = delete;
  /// Is --json given? Whatever else is given is refused.
  bool read(std::span<const std::string> words) {
    read_flags(words, table_, 0);
    return json_;
  }
  std::string help() const;

 private:
  bool json_ = false;
  OptionTable table_;
};

/// Name, type, default, range and meaning of every option, for a terminal.
std::string help_text(const OptionTable& table);
/// The same as a page of Markdown, a table a section.
std::string help_markdown(const OptionTable& table);
/// All settings as a recipe that reads back equal.
std::string resolved_recipe(const OptionTable& table);

}  // namespace chorale
