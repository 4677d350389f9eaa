// Words of a recipe of several tasks.
#pragma once
#include <string>
#include <vector>

namespace chorale {

/// Without blanks at both ends.
std::string trimmed(std::string text);
/// Trimmed pieces between separators that stand outside of quotes, without the quotes.
std::vector<std::string> pieces(const std::string& text, char separator);
/// Of a task, or a kind of entity: at most 31 letters, digits, _ or -.
bool is_name(const std::string& text);

}  // namespace chorale
