// Source of the fast path: W. D. Clinger, How to Read Floating Point Numbers Accurately, PLDI 1990: a mantissa of at most 2^53 times or
// over an exact power of ten (up to 10^22) is one correctly rounded operation.
#include <chorale/core/data/csv_number.hpp>

#include <charconv>
#include <cstddef>

namespace chorale {

namespace {

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] | 0x20) != lower[i]) return false;
  return true;
}

NumberRead read_word(std::string_view text) {
  return equals_ignoring_case(text, "inf") || equals_ignoring_case(text, "infinity") || equals_ignoring_case(text, "nan")
             ? NumberRead::not_finite
             : NumberRead::not_a_number;
}

// Power of ten of the leading digit: from_chars does not tell a number that is too large from one that rounds to zero.
std::int64_t decimal_exponent(const char* begin, const char* end) {
  const char* e = begin;
  while (e != end && *e != 'e' && *e != 'E') ++e;
  std::int64_t written = 0;
  for (const char* p = e; p != end; ++p)
    if (is_digit(*p) && written < 1000000) written = written * 10 + (*p - '0');
  if (e != end && e[1] == '-') written = -written;
  const char* point = begin;
  while (point != e && *point != '.') ++point;
  const char* first = begin;
  while (first != e && (*first == '0' || *first == '.')) ++first;
  return written + (first < point ? point - first - 1 : point - first);
}

// The grammar has been checked; only range and rounding are open.
NumberRead read_slow(const char* begin, const char* end, bool negative, double& value) {
  double magnitude = 0;
  const auto [stop, error] = std::from_chars(begin, end, magnitude);
  if (error == std::errc::result_out_of_range) {
    if (decimal_exponent(begin, end) > 0) return NumberRead::not_finite;
    magnitude = 0;
  } else if (error != std::errc() || stop != end) {
    return NumberRead::not_a_number;
  }
  value = negative ? -magnitude : magnitude;
  return NumberRead::ok;
}

}  // namespace

NumberRead read_number(std::string_view text, double& value) {
  const char* p = text.data();
  const char* const end = p + text.size();
  if (p == end) return NumberRead::not_a_number;
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;
  const char* const begin = p;
  std::uint64_t mantissa = 0;
  while (p != end && is_digit(*p)) mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
  std::int64_t digits = p - begin, exponent = 0;
  if (p != end && *p == '.') {
    const char* const point = ++p;
    while (p != end && is_digit(*p)) mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
    exponent = point - p;
    digits -= exponent;
  }
  if (digits == 0) return read_word({begin, static_cast<std::size_t>(end - begin)});
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    const bool small = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    if (p == end) return NumberRead::not_a_number;
    std::int64_t written = 0;
    for (; p != end && is_digit(*p); ++p)
      if (written < 1000000) written = written * 10 + (*p - '0');
    exponent += small ? -written : written;
  }
  if (p != end) return NumberRead::not_a_number;
  if (digits <= 19 && mantissa <= (std::uint64_t{1} << 53) && exponent >= -22 && exponent <= 22) {
    double magnitude = static_cast<double>(mantissa);
    if (exponent < 0)
      magnitude /= kPowers[-exponent];
    else
      magnitude *= kPowers[exponent];
    value = negative ? -magnitude : magnitude;
    return NumberRead::ok;
  }
  return read_slow(begin, end, negative, value);
}

std::string number_text(double value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace chorale
