#include <chorale/core/base/excerpt.hpp>

#include <algorithm>

namespace chorale {

std::string excerpt(std::string_view text, std::size_t most) {
  std::size_t length = std::min(text.size(), most);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::string out;
  for (const char c : text.substr(0, length)) {
    if (c == '\0')
      out += "\\0";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return length < text.size() ? out + "..." : out;
}

}  // namespace chorale
