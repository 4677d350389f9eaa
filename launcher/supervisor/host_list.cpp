#include <chorale/launcher/supervisor/host_list.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

namespace {

constexpr std::size_t kMostHosts = 4096;
constexpr int kMostRanks = 65536;
constexpr std::size_t kLongestName = 255, kMostDigits = 6;  // checked before a range is written out: 4,096 names of 100 KB are 400 MB

[[noreturn]] void refuse(std::string_view what, const std::string& why) {
  throw UsageError("--hosts: '" + excerpt(what) + "' " + why + "; expected HOST:RANKS,HOST:RANKS or node[1-4]:RANKS");
}

std::optional<int> number(std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) return std::nullopt;
  return value;
}

/// A name that starts with a dash would be an option of the program that it is given to.
bool is_host_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return !name.empty() && name.size() <= kLongestName && name[0] != '-' && std::all_of(name.begin(), name.end(), is_fine);
}

/// "node[01-04,7]x" to node01x ... node04x node7x.
std::vector<std::string> expanded(std::string_view name) {
  const std::size_t open = name.find('['), close = name.find(']');
  if (open == std::string_view::npos && close == std::string_view::npos) return {std::string(name)};
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) refuse(name, "has an unmatched bracket");
  if (open + (name.size() - close - 1) > kLongestName) refuse(name, "is too long for a host's name");
  std::vector<std::string> out;
  std::string_view inside = name.substr(open + 1, close - open - 1);
  while (true) {
    const std::string_view part = inside.substr(0, inside.find(','));
    const std::string_view low = part.substr(0, part.find('-')),
                           high = part.find('-') == std::string_view::npos ? low : part.substr(low.size() + 1);
    const auto first = number(low, 999999), last = number(high, 999999);
    if (!first || !last || low.size() > kMostDigits || *last < *first ||
        static_cast<std::size_t>(*last - *first) + out.size() >= kMostHosts)
      refuse(name, "has no such range");
    for (int i = *first; i <= *last; ++i) {
      std::string digits = std::to_string(i);
      if (digits.size() < low.size()) digits.insert(0, low.size() - digits.size(), '0');
      out.push_back(std::string(name.substr(0, open)) + digits + std::string(name.substr(close + 1)));
    }
    if (part.size() == inside.size()) return out;
    inside.remove_prefix(part.size() + 1);
  }
}

/// The next item of a list whose commas may stand in brackets.
std::string_view next_item(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '[' ? 1 : text[i] == ']' ? -1 : 0;
    if (text[i] == ',' && depth <= 0) return text.substr(0, i);
  }
  return text;
}

}  // namespace

std::vector<Host> parse_hosts(std::string_view text) {
  std::vector<Host> out;
  std::set<std::string> names;
  while (true) {
    const std::string_view item = next_item(text), name = item.substr(0, item.rfind(':'));
    const bool has_ranks = name.size() < item.size();
    const auto ranks = has_ranks ? number(item.substr(name.size() + 1), kMostRanks) : std::optional<int>(1);
    if (!ranks || *ranks < 1) refuse(item, "has no number of ranks");
    for (std::string& host : expanded(name)) {
      if (!is_host_name(host)) refuse(host, "is no host's name");
      if (!names.insert(host).second) refuse(host, "is named twice");
      if (out.size() >= kMostHosts) refuse(item, "goes beyond " + std::to_string(kMostHosts) + " hosts");
      out.push_back({std::move(host), *ranks});
    }
    if (item.size() == text.size()) break;
    text.remove_prefix(item.size() + 1);
  }
  if (ranks_on(out) > kMostRanks) refuse(text, "stands for more than " + std::to_string(kMostRanks) + " ranks");
  return out;
}

std::vector<std::string> handed_on(const Elsewhere& elsewhere) {
  std::set<std::string> out;
  // A remote shell has neither our PATH nor our libraries.
  for (const char* name : {"PATH", "LD_LIBRARY_PATH", "CHORALE_DATA", "OMP_NUM_THREADS"})
    if (std::getenv(name)) out.insert(name);
  for (const std::string& name : elsewhere.exported) {
    const auto is_fine = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) || !std::all_of(name.begin(), name.end(), is_fine))
      throw UsageError("-x " + name + " is refused: expected the name of an environment variable");
    if (!std::getenv(name.c_str())) throw UsageError("-x " + name + ": it is not set here; set and export it first");
    out.insert(name);
  }
  return {out.begin(), out.end()};
}

std::string hosts_text(const std::vector<Host>& hosts) {
  std::string out;
  for (const Host& host : hosts) out += (out.empty() ? "" : ",") + host.name + ":" + std::to_string(host.ranks);
  return out;
}

int ranks_on(const std::vector<Host>& hosts) {
  std::int64_t sum = 0;
  for (const Host& host : hosts) sum += host.ranks;
  return static_cast<int>(std::min<std::int64_t>(sum, kMostRanks + 1));
}

}  // namespace chorale
