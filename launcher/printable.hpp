// What files and names contain may move a terminal's cursor or rename its window: control characters are shown, never sent. Those of 8 bits
// (U+0080 to U+009F) too: terminals take U+009B for ESC [.
#pragma once
#include <string>
#include <string_view>

namespace chorale {

/// The text with control characters but the line break and the tab as "\x1b".
inline std::string printable(std::string_view text) {
  std::string out;
  const auto show = [&](unsigned char byte) {
    out += "\\x";
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {  // U+0080 to U+009F in UTF-8
      show(byte), show(static_cast<unsigned char>(next));
      ++i;
    } else if ((byte >= 32 && byte != 127) || byte == '\n' || byte == '\t') {
      out += text[i];
    } else {
      show(byte);
    }
  }
  return out;
}

}  // namespace chorale
