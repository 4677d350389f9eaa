// What files and names contain may move a terminal's cursor or rename its window: control characters are shown, never sent.
#pragma once
#include <string>
#include <string_view>

namespace chorale {

/// The text with control characters but the line break and the tab as "\x1b".
inline std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 32 && byte != 127) || c == '\n' || c == '\t') {
      out += c;
      continue;
    }
    out += "\\x";
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace chorale
