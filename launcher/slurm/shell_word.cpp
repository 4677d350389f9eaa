#include <chorale/launcher/slurm/shell_word.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>

namespace chorale {

void refuse_control_characters(const std::string& what, const std::string& text) {
  const auto is_control = [](unsigned char c) { return c < 32 || c == 127; };
  if (std::none_of(text.begin(), text.end(), is_control)) return;
  std::string shown = text;
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  throw UsageError(what + " '" + shown + "' is refused: it holds control characters (a new line, a tab), shown as ?; rename it");
}

std::string shell_word(const std::string& what, const std::string& text) {
  refuse_control_characters(what, text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace chorale
