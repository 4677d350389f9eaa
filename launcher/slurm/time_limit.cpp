#include <chorale/launcher/slurm/time_limit.hpp>

#include <fmt/format.h>

#include <regex>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

std::int64_t seconds_of_time_limit(const std::string& text) {
  static const std::regex with_days(R"((\d{1,3})-(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?)");
  static const std::regex without(R"((\d{1,6})(?::(\d{1,2}))?(?::(\d{1,2}))?)");
  std::smatch m;
  const auto n = [&](std::size_t i) -> std::int64_t { return m[i].matched ? std::stoll(m[i].str()) : 0; };
  std::int64_t seconds = 0;
  if (std::regex_match(text, m, with_days))
    seconds = ((n(1) * 24 + n(2)) * 60 + n(3)) * 60 + n(4);
  else if (std::regex_match(text, m, without))
    seconds = m[3].matched ? (n(1) * 60 + n(2)) * 60 + n(3) : n(1) * 60 + n(2);  // H:M:S; M or M:S
  if (seconds == 0)
    throw UsageError("--time '" + excerpt(text) + "' is refused: expected minutes, MM:SS, HH:MM:SS or D-HH:MM:SS, for example 04:00:00");
  return seconds;
}

std::string time_limit_text(std::int64_t seconds) {
  return fmt::format("{}-{:02}:{:02}:{:02}", seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

}  // namespace chorale
