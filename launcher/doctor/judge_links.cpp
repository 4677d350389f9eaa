// Which pair is slow?
#include <fmt/format.h>

#include <algorithm>

#include <chorale/launcher/doctor/links.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

std::string pair_text(const LinkFacts& link) {
  return link.is_between_hosts() ? fmt::format("{} - {}", rank_text(link.first, link.first_host), rank_text(link.second, link.second_host))
                                 : fmt::format("ranks {} - {} on {}", link.first, link.second, link.first_host);
}

/// One measured quantity of links: how it reads, and which of two is worse.
struct Quantity {
  const char* check;
  double LinkFacts::*field;
  const char* unit;
  bool more_is_worse;
  const char* remedy;
};

double median_of_kind(const LinksFacts& links, double LinkFacts::*field, bool between, int& count) {
  std::vector<double> values;
  for (const LinkFacts& link : links.pairs)
    if (link.is_between_hosts() == between) values.push_back(link.*field);
  count = static_cast<int>(values.size());
  return median_of(std::move(values));
}

/// What is wrong with a link; empty: nothing.
std::string trouble(const LinkFacts& link, const Quantity& q, double median, int count) {
  constexpr double kSlow = 2, kSlowLatency = 3, kNoiseUs = 20;  // a processor that is busy elsewhere shows so, too
  const double value = link.*q.field;
  const bool against_median = q.more_is_worse ? value > kSlowLatency * median + kNoiseUs : value * kSlow < median;
  if (count >= 3 && against_median)
    return fmt::format("{}: {:.3g} {}, the median of {} such pairs is {:.3g}", pair_text(link), value, q.unit, count, median);
  if (!link.is_between_hosts()) return "";
  constexpr double kMegabitsOfGbs = 8000, kShare = 0.2, kSlowGbs = 0.1, kSlowUs = 1000;
  if (!q.more_is_worse && link.megabits > 0 && value * kMegabitsOfGbs < kShare * static_cast<double>(link.megabits))
    return fmt::format("{}: {:.3g} {}, its interfaces promise {:.3g}", pair_text(link), value, q.unit,
                       static_cast<double>(link.megabits) / kMegabitsOfGbs);
  if (!q.more_is_worse && value < kSlowGbs)
    return fmt::format("{}: {:.3g} {}, less than an Ethernet of 1 Gbit/s gives", pair_text(link), value, q.unit);
  if (q.more_is_worse && value > kSlowUs) return fmt::format("{}: {:.3g} {}, no local network is as slow", pair_text(link), value, q.unit);
  return "";
}

std::string range_text(const LinksFacts& links, const Quantity& q) {
  std::string out;
  for (const bool between : {false, true}) {
    int count = 0;
    const double median = median_of_kind(links, q.field, between, count);
    if (count == 0) continue;
    const auto worse = [&](const LinkFacts& a, const LinkFacts& b) {
      if (a.is_between_hosts() != b.is_between_hosts()) return b.is_between_hosts() == between;
      return q.more_is_worse ? a.*q.field < b.*q.field : a.*q.field > b.*q.field;
    };
    const auto worst = std::max_element(links.pairs.begin(), links.pairs.end(), worse);
    out += fmt::format("{}{} {} {}: median {:.3g} {}, slowest {:.3g} ({})", out.empty() ? "" : "\n", count, count == 1 ? "pair" : "pairs",
                       between ? "between hosts" : "inside hosts", median, q.unit, (*worst).*q.field, pair_text(*worst));
  }
  return out;
}

Finding judge_quantity(const LinksFacts& links, const Quantity& q) {
  std::vector<std::string> slow;
  constexpr std::size_t kNamed = 5;
  for (const LinkFacts& link : links.pairs) {
    int count = 0;
    const double median = median_of_kind(links, q.field, link.is_between_hosts(), count);
    const std::string text = trouble(link, q, median, count);
    if (!text.empty()) slow.push_back(text);
  }
  const std::size_t more = slow.size() > kNamed ? slow.size() - kNamed : 0;
  slow.resize(slow.size() - more);
  if (more > 0) slow.push_back(fmt::format("and {} more", more));
  const int missing = links.wanted - static_cast<int>(links.pairs.size());
  const std::string cut = missing > 0 ? fmt::format("\n{} of {} pairs were not measured in time", missing, links.wanted) : "";
  if (!slow.empty()) return warning(q.check, fmt::format("slow: {}{}", fmt::join(slow, "\n"), cut), q.remedy);
  if (missing > 0)
    return warning(q.check, range_text(links, q) + cut, "ask fewer hosts at a time by --hosts, or look at the pairs that were measured");
  return ok(q.check, range_text(links, q));
}

}  // namespace

std::vector<Finding> judge_links(const LinksFacts& links) {
  if (links.pairs.empty())
    return {skipped("latency", "no pair was measured in time"), skipped("bandwidth", "no pair was measured in time")};
  std::vector<Finding> out = {
      judge_quantity(links,
                     {"latency", &LinkFacts::latency_us, "us", true,
                      "look at what else runs on those hosts and in their network; between far cores of a host it is their distance"}),
      judge_quantity(links, {"bandwidth", &LinkFacts::gbs, "GB/s", false,
                             "look at cable, switch port, negotiated speed (ethtool) and other traffic of those hosts, or leave one out; "
                             "OMPI_MCA_btl_tcp_if_include says which network is used"})};
  out[0].values["pairs"] = links.pairs;
  return out;
}

}  // namespace chorale
