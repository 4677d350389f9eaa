#include <chorale/core/data/tokeniser.hpp>

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

/// Bytes of the character at `at`. Overlong forms and surrogates are refused as RFC 3629 says.
std::size_t character_length(std::string_view text, std::size_t at, const std::string& path) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  bool is_sound = length > 0;
  for (std::size_t i = 1; i < length; ++i) is_sound = is_sound && (byte(i) & 0xC0) == 0x80;
  is_sound = is_sound && !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second > 0x9F) && !(first == 0xF0 && second < 0x90) &&
             !(first == 0xF4 && second > 0x8F);
  if (!is_sound)
    throw DataError(
        fmt::format("{}: byte {} (0x{:02x}) begins no character of UTF-8; convert the file (iconv -t UTF-8), or use data.tokens = byte",
                    path, at, first));
  return length;
}

template <class F>
void each_character(std::string_view text, const std::string& path, F f) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text, at, path);
    f(text.substr(at, length));
    at += length;
  }
}

}  // namespace

Tokeniser::Tokeniser(std::vector<std::string> characters) : kind_(Kind::character), characters_(std::move(characters)) {}

Tokeniser Tokeniser::of_characters(std::string_view text, double share, const std::string& path) {
  std::unordered_map<std::string_view, bool> seen;
  auto left = static_cast<std::int64_t>(static_cast<double>(Tokeniser(std::vector<std::string>()).count(text, path)) * share + 0.5);
  each_character(text, path, [&](std::string_view c) {
    if (left-- > 0) seen.try_emplace(c, true);
  });
  std::vector<std::string> characters;
  for (const auto& [c, is_there] : seen) characters.emplace_back(c);
  std::sort(characters.begin(), characters.end());  // of UTF-8 that is the order of code points
  return Tokeniser(std::move(characters));
}

std::int64_t Tokeniser::size() const { return kind_ == Kind::byte ? 256 : static_cast<std::int64_t>(characters_.size()) + 1; }

std::int64_t Tokeniser::count(std::string_view text, const std::string& path) const {
  if (kind_ == Kind::byte) return static_cast<std::int64_t>(text.size());
  std::int64_t n = 0;
  each_character(text, path, [&](std::string_view) { ++n; });
  return n;
}

void Tokeniser::encode(std::string_view text, const std::string& path, std::int32_t* out) const {
  if (kind_ == Kind::byte) {
    for (const char c : text) *out++ = static_cast<unsigned char>(c);
    return;
  }
  std::unordered_map<std::string_view, std::int32_t> number;
  for (std::size_t i = 0; i < characters_.size(); ++i) number.emplace(characters_[i], static_cast<std::int32_t>(i));
  each_character(text, path, [&](std::string_view c) {
    const auto it = number.find(c);
    *out++ = it == number.end() ? static_cast<std::int32_t>(other()) : it->second;
  });
}

std::vector<std::int32_t> Tokeniser::encode(std::string_view text, const std::string& path) const {
  std::vector<std::int32_t> out(static_cast<std::size_t>(count(text, path)));
  encode(text, path, out.data());
  return out;
}

std::string Tokeniser::text(std::int64_t token) const {
  if (kind_ == Kind::byte) return std::string(1, static_cast<char>(token));
  return token == other() ? "\xEF\xBF\xBD" : characters_[static_cast<std::size_t>(token)];
}

std::vector<std::string> Tokeniser::names() const {
  std::vector<std::string> out;
  if (kind_ == Kind::byte) {
    for (int b = 0; b < 256; ++b) out.push_back(fmt::format("0x{:02x}", b));
    return out;
  }
  out = characters_;
  out.emplace_back("(other)");
  return out;
}

}  // namespace chorale
