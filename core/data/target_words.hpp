// Several targets in one recipe: their names, and settings that each may have of its own.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace chorale {

/// The columns of data.target: "income, marital", a name with a comma in double quotes. Empty text: none. Throws UsageError for a name that
/// is empty or stands there twice.
std::vector<std::string> target_names(const std::string& text);

/// What a batch calls these targets: "target" where there is one, else "target.NAME".
std::vector<std::string> target_fields(const std::vector<std::string>& names);

/// The words of target t in a setting that targets may have of their own, "college : >= 13 marital : Never-married"; words without a name
/// in front are every target's. Empty where others have some and this one has none. Throws UsageError that names the key for a name that is
/// no target, or is there twice.
std::vector<std::string> words_of_target(const std::string& key, const std::vector<std::string>& words,
                                         const std::vector<std::string>& targets, std::size_t t);

}  // namespace chorale
