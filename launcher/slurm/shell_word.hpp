// A text as one word of a shell script.
#pragma once
#include <string>

namespace chorale {

/// In single quotes, where a shell reads nothing but the end of the quotes. Throws UsageError for control characters, a line's end among
/// them: no text becomes a line of a script. `what` names it.
std::string shell_word(const std::string& what, const std::string& text);

/// Throws UsageError for control characters.
void refuse_control_characters(const std::string& what, const std::string& text);

}  // namespace chorale
