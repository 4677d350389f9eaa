#include <chorale/launcher/bench/byte_sizes.hpp>

#include <charconv>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;

[[noreturn]] void refuse(std::string_view word) {
  throw UsageError("--sizes: '" + std::string(word) + "' is not a size; give bytes as in 4:256M (doubling) or 4,64K,26M");
}

std::int64_t parse_one(std::string_view word) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(word.data() + word.size() - end));
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (error != std::errc() || shift < 0 || value < 0 || value > (kLargest >> shift)) refuse(word);
  return value << shift;
}

}  // namespace

std::vector<std::int64_t> parse_byte_sizes(std::string_view text) {
  std::vector<std::int64_t> out;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    const std::int64_t first = parse_one(text.substr(0, colon)), last = parse_one(text.substr(colon + 1));
    if (first < 1 || last < first) refuse(text);
    for (std::int64_t at = first; at <= last; at *= 2) out.push_back(at);
    return out;
  }
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    out.push_back(parse_one(text.substr(at, comma - at)));
    at = comma + 1;
  }
  return out;
}

}  // namespace chorale
