#include "mutation.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace chorale::fuzz {

namespace {

/// Where readers err: signs, borders of types, just behind them.
constexpr std::array<std::uint64_t, 16> kIntegers = {
    0,          1,          2,           127,         128,        255,   256,       32767,
    0x7fffffff, 0x80000000, 0xffffffffu, 0x100000000, 1ull << 53, ~0ull, ~0ull - 7, std::numeric_limits<std::int64_t>::max()};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Mutator::next(const std::vector<std::string>& pool) {
  // Half of the time one of the newest, which have reached what others have not.
  const std::size_t newest = std::min<std::size_t>(pool.size(), 16);
  std::string text = pool[below(2) == 0 ? below(pool.size()) : pool.size() - 1 - below(newest)];
  // Mostly one: what is broken in many places is refused for the first.
  int changes = 1;
  while (changes < 8 && below(2) == 0) ++changes;
  while (changes-- > 0) change(text, pool);
  if (text.size() > kLongestInput) text.resize(kLongestInput);
  return text;
}

void Mutator::change(std::string& text, const std::vector<std::string>& pool) {
  switch (below(9)) {
    case 0:
    case 1:
      return change_byte(text);
    case 2:
      return put_integer(text);
    case 3:
      return put_digits(text);
    case 4:
      return repeat(text);
    case 5:
      if (!words_.empty()) put_in(text, words_[below(words_.size())]);
      return;
    case 6:  // a piece goes
      if (const std::size_t at = below(text.size() + 1); at < text.size()) text.erase(at, 1 + below(std::size_t{1} << below(10)));
      return;
    case 7: {  // a piece of another
      const std::string& other = pool[below(pool.size())];
      const std::size_t at = below(other.size() + 1);
      return put_in(text, std::string_view(other).substr(at, below(std::size_t{1} << below(10))));
    }
    default:  // the end goes
      text.resize(below(text.size() + 1));
  }
}

void Mutator::change_byte(std::string& text) {
  if (text.empty()) return put_in(text, std::string(1, static_cast<char>(random_())));
  char& byte = text[below(text.size())];
  if (below(2) == 0)
    byte = static_cast<char>(byte ^ (1 << below(8)));
  else
    byte = static_cast<char>(random_());
}

void Mutator::put_integer(std::string& text) {
  const std::size_t bytes = std::size_t{1} << below(4);
  if (text.size() < bytes) return change_byte(text);
  const std::uint64_t value = below(3) == 0 ? text.size() + below(5) - 2 : kIntegers[below(kIntegers.size())];
  std::array<char, 8> raw;
  std::memcpy(raw.data(), &value, sizeof value);
  if (below(2) == 0) std::reverse(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(bytes));
  std::memcpy(text.data() + below(text.size() - bytes + 1), raw.data(), bytes);
}

void Mutator::put_digits(std::string& text) {
  const auto first = std::find_if(text.begin() + static_cast<std::ptrdiff_t>(below(text.size() + 1)), text.end(), is_digit);
  const auto last = std::find_if_not(first, text.end(), is_digit);
  const std::uint64_t value = kIntegers[below(kIntegers.size())];
  text.replace(first, last, below(4) == 0 ? "-" + std::to_string(value) : std::to_string(value));
}

/// A piece once more or many times over: depth, length and keys given twice.
void Mutator::repeat(std::string& text) {
  if (text.empty()) return;
  const std::size_t at = below(text.size());
  const std::string piece = text.substr(at, 1 + below(std::size_t{1} << below(8)));
  std::size_t times = below(8) == 0 ? std::size_t{1} << below(15) : 1 + below(3);
  times = std::min(times, kLongestInput / piece.size());
  std::string all;
  while (times-- > 0) all += piece;
  text.insert(at, all);
}

void Mutator::put_in(std::string& text, std::string_view piece) {
  const std::size_t at = below(text.size() + 1);
  if (below(2) == 0)
    text.insert(at, piece);
  else
    text.replace(at, std::min(piece.size(), text.size() - at), piece);
}

}  // namespace chorale::fuzz
