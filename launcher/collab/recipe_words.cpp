#include <chorale/launcher/collab/recipe_words.hpp>

#include <algorithm>
#include <cctype>

namespace chorale {

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  std::size_t first = 0;
  while (first < text.size() && blank(text[first])) ++first;
  return text.substr(first);
}

/// Pieces between separators that stand outside of quotes.
std::vector<std::string> pieces(const std::string& text, char separator) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == separator && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  for (std::string& piece : out) piece = trimmed(piece);
  return out;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 31 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

}  // namespace chorale
