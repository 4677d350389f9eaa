#include <chorale/launcher/doctor/links.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/doctor/interfaces.hpp>
#include <chorale/launcher/doctor/probe.hpp>
#include <chorale/train/bucket_plan.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kWholeMs = 5000;  // of all pairs
constexpr int kSmall = 20, kLarge = 3;
constexpr std::int64_t kLeastBytes = 1 << 12, kMostBytes = 1 << 22;

double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

/// There and back, in ms.
double round_trip_ms(Communicator& comm, int peer, bool first, std::vector<std::uint8_t>& data) {
  const Buffer buffer = buffer_of(std::span(data));
  const Clock::time_point start = Clock::now();
  if (first) comm.send(buffer, peer, "link").wait();
  comm.recv(buffer, peer, "link").wait();
  if (!first) comm.send(buffer, peer, "link").wait();
  return ms_since(start);
}

/// Larger messages as long as the budget lets: a link of 1 Mbit must not hold the doctor, and on a shaped one the first kilobytes run free.
/// The one that speaks first says when it is enough.
LinkSpeed measure_pair(Communicator& comm, int peer, bool first, double budget_ms) {
  const Clock::time_point start = Clock::now();
  RoundTrips best{.small_ms = 1e30, .large_ms = 1e30, .large_bytes = kLeastBytes};
  std::vector<std::uint8_t> small(8), large, again = {1};
  for (int i = 0; i < kSmall; ++i) best.small_ms = std::min(best.small_ms, round_trip_ms(comm, peer, first, small));
  for (;;) {
    large.resize(static_cast<std::size_t>(best.large_bytes));
    best.large_ms = 1e30;
    double one_ms = 0;
    for (int i = 0; i < kLarge; ++i) one_ms = round_trip_ms(comm, peer, first, large), best.large_ms = std::min(best.large_ms, one_ms);
    again[0] = best.large_bytes < kMostBytes && ms_since(start) + 4 * kLarge * one_ms < budget_ms;
    (first ? comm.send(buffer_of(std::span(again)), peer, "link") : comm.recv(buffer_of(std::span(again)), peer, "link")).wait();
    if (again[0] == 0) return speed_of(best);
    best.large_bytes *= 4;
  }
}

struct Matches {
  std::vector<std::vector<std::pair<int, int>>> rounds;  // ranks
  int pairs = 0;
};

/// First ranks of nodes, then ranks of each node, all nodes at once. No two pairs of a round share a rank or a network.
Matches matches_of(const Communicator& comm) {
  std::vector<std::vector<int>> nodes;
  for (int r = 0; r < comm.size(); ++r) {
    if (r == 0 || comm.node_of(r) != comm.node_of(r - 1)) nodes.emplace_back();
    nodes.back().push_back(r);
  }
  Matches out;
  for (auto& round : tournament(static_cast<int>(nodes.size()))) {
    out.rounds.emplace_back();
    for (const auto& [a, b] : round)
      out.rounds.back().emplace_back(nodes[static_cast<std::size_t>(a)][0], nodes[static_cast<std::size_t>(b)][0]);
  }
  const std::size_t inside = out.rounds.size();
  for (const std::vector<int>& node : nodes) {
    const auto rounds = tournament(static_cast<int>(node.size()));
    out.rounds.resize(std::max(out.rounds.size(), inside + rounds.size()));
    for (std::size_t i = 0; i < rounds.size(); ++i)
      for (const auto& [a, b] : rounds[i])
        out.rounds[inside + i].emplace_back(node[static_cast<std::size_t>(a)], node[static_cast<std::size_t>(b)]);
  }
  for (const auto& round : out.rounds) out.pairs += static_cast<int>(round.size());
  return out;
}

std::int64_t promised_megabits() {
  std::int64_t out = -1;
  for (const Interface& i : own_interfaces()) out = std::max(out, i.megabits);
  return out;
}

struct End {
  std::string host = {};
  std::int64_t megabits = -1;
  std::vector<LinkFacts> measured = {};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(End, host, megabits, measured)

/// The pairs of all ranks, with the names of their hosts.
LinksFacts joined(const std::vector<End>& ends, int wanted) {
  LinksFacts out = {.pairs = {}, .wanted = wanted};
  for (const End& end : ends)
    for (LinkFacts link : end.measured) {
      const End &a = ends[static_cast<std::size_t>(link.first)], &b = ends[static_cast<std::size_t>(link.second)];
      link.first_host = a.host, link.second_host = b.host, link.megabits = std::min(a.megabits, b.megabits);
      out.pairs.push_back(std::move(link));
    }
  std::sort(out.pairs.begin(), out.pairs.end(),
            [](const LinkFacts& a, const LinkFacts& b) { return std::pair(a.first, a.second) < std::pair(b.first, b.second); });
  return out;
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  const Matches matches = matches_of(comm);
  const Clock::time_point start = Clock::now();
  End mine = {.host = host_name(), .megabits = promised_megabits()};
  std::size_t left = matches.rounds.size();
  for (const auto& round : matches.rounds) {
    double budget_ms = (kWholeMs - ms_since(start)) / static_cast<double>(left--);
    comm.broadcast(buffer_of(std::span(&budget_ms, 1)), 0, "doctor round").wait();  // rank 0's clock is everybody's
    if (budget_ms <= 0) break;
    for (const auto& [a, b] : round) {
      if (comm.rank() != a && comm.rank() != b) continue;
      const LinkSpeed speed = measure_pair(comm, comm.rank() == a ? b : a, comm.rank() == a, std::min(budget_ms, 1000.0));
      if (comm.rank() != a) continue;
      LinkFacts link;
      link.first = a, link.second = b, link.latency_us = 1e3 * speed.latency_ms, link.gbs = speed.bytes_per_ms / 1e6;
      mine.measured.push_back(link);
    }
    comm.barrier("doctor round").wait();
  }
  return joined(gather_facts(comm, mine, "doctor links"), matches.pairs);
}

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

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_links(facts.get<LinksFacts>()); }

}  // namespace

std::vector<std::vector<std::pair<int, int>>> tournament(int players) {
  std::vector<std::vector<std::pair<int, int>>> out;
  const int seats = players + players % 2;  // an odd one rests
  std::vector<int> circle(static_cast<std::size_t>(seats));
  std::iota(circle.begin(), circle.end(), 0);
  for (int round = 0; round + 1 < seats; ++round) {
    out.emplace_back();
    for (std::size_t i = 0; i < circle.size() / 2; ++i) {
      const auto [a, b] = std::minmax(circle[i], circle[circle.size() - 1 - i]);
      if (b < players) out.back().emplace_back(a, b);
    }
    std::rotate(circle.begin() + 1, circle.end() - 1, circle.end());
  }
  return out;
}

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

Probe links_probe() {
  return {.name = "links",
          .checks = {"latency", "bandwidth"},
          .share = std::chrono::seconds(8),
          .needs_peers = true,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
