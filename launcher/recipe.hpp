// Reads a recipe (INI) line by line into an option table; every refusal names file and line.
#pragma once
#include <string>

#include <chorale/core/base/option.hpp>

namespace chorale {

/// Sets every `key = value` of [section] as "section.key". Comments start with #; a text may stand in quotes, as words of a list may.
/// Throws UsageError "file:line: ..." for a broken line, a duplicate or unknown key, a refused value, a missing or empty recipe.
void read_recipe(const std::string& path, OptionTable& table);

}  // namespace chorale
