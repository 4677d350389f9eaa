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
constexpr int kSmall = 20, kLarge = 5;
constexpr int kMostRepeats = 2;
enum Next : std::uint8_t { kEnough, kGrow, kRepeat };
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

/// Larger messages as long as the budget lets: a link of 1 Mbit must not hold the doctor. Of large ones the median: on a shaped link the
/// first kilobytes run free, and the fastest would be one of those; where the last was much slower, that has just ended. The one that
/// speaks first says how it goes on.
LinkSpeed measure_pair(Communicator& comm, int peer, bool first, double budget_ms) {
  const Clock::time_point start = Clock::now();
  RoundTrips best{.small_ms = 1e30, .large_ms = 0, .large_bytes = kLeastBytes};
  std::vector<std::uint8_t> small(8), large, next = {kGrow};
  int repeats = 0;
  for (int i = 0; i < kSmall; ++i) best.small_ms = std::min(best.small_ms, round_trip_ms(comm, peer, first, small));
  for (;;) {
    large.resize(static_cast<std::size_t>(best.large_bytes));
    std::vector<double> times_ms;
    for (int i = 0; i < kLarge; ++i) times_ms.push_back(round_trip_ms(comm, peer, first, large));
    best.large_ms = median_of(times_ms);
    const bool is_settled = times_ms.back() < 4 * best.large_ms || ++repeats > kMostRepeats;
    const bool has_time = best.large_bytes < kMostBytes && ms_since(start) + 4 * kLarge * times_ms.back() < budget_ms;
    next[0] = !is_settled ? kRepeat : has_time ? kGrow : kEnough;
    (first ? comm.send(buffer_of(std::span(next)), peer, "link") : comm.recv(buffer_of(std::span(next)), peer, "link")).wait();
    if (next[0] == kEnough) return speed_of(best);
    if (next[0] == kGrow) best.large_bytes *= 4;
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

Probe links_probe() {
  return {.name = "links",
          .checks = {"latency", "bandwidth"},
          .share = std::chrono::seconds(8),
          .needs_peers = true,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
