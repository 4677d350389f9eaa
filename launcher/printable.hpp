// What files and names contain may move a terminal's cursor or rename its window: control characters are shown, never sent. Those of 8 bits
// (U+0080 to U+009F) too, and bytes that are no UTF-8: terminals take U+009B, or the byte 9b where they are of 8 bits, for ESC [.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace chorale {

/// Bytes of the UTF-8 character that `text` begins with; 0: it begins with none.
inline std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80                     ? 1
                             : first >= 0xC2 && first <= 0xDF ? 2
                             : (first & 0xF0) == 0xE0         ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  return length;
}

/// The text with control characters but the line break and the tab, and with bytes that are no UTF-8, as "\x1b".
inline std::string printable(std::string_view text) {
  std::string out;
  const auto show = [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  };
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool is_control = (length == 1 && (first < 32 || first == 127) && first != '\n' && first != '\t') ||
                            (length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) <= 0x9F);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (length == 0 || is_control)
      for (const char c : character) show(c);
    else
      out += character;
    text.remove_prefix(character.size());
  }
  return out;
}

}  // namespace chorale
