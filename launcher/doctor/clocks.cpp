#include <chorale/launcher/doctor/clocks.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

constexpr int kQuestions = 8;
constexpr double kWarnAt = 0.5;  // seconds: then logs of two hosts cannot be read side by side

std::int64_t time_of_day_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Rank 0's view of another clock: the answer was given in the middle of the way there and back (Cristian 1989).
ClockFacts ask_clock(Communicator& comm, int rank) {
  ClockFacts out = {.rank = rank, .host = {}, .ahead_s = 0, .within_s = 1e9};
  for (int i = 0; i < kQuestions; ++i) {
    std::int64_t theirs = 0;
    const std::int64_t before = time_of_day_ns();
    comm.send(buffer_of(std::span(&theirs, 1)), rank, "clock").wait();
    comm.recv(buffer_of(std::span(&theirs, 1)), rank, "clock").wait();
    const std::int64_t after = time_of_day_ns();
    const double half = 0.5e-9 * static_cast<double>(after - before);
    if (half < out.within_s) out.within_s = half, out.ahead_s = 1e-9 * static_cast<double>(theirs - before) - half;
  }
  return out;
}

void answer(Communicator& comm) {
  for (int i = 0; i < kQuestions; ++i) {
    std::int64_t mine = 0;
    comm.recv(buffer_of(std::span(&mine, 1)), 0, "clock").wait();
    mine = time_of_day_ns();
    comm.send(buffer_of(std::span(&mine, 1)), 0, "clock").wait();
  }
}

/// Ranks of one host read one clock: of several hosts the first ranks are enough.
std::vector<int> asked_ranks(const Communicator& comm) {
  std::vector<int> out;
  for (int r = 1; r < comm.size(); ++r)
    if (comm.node_count() == 1 ? out.empty() : comm.node_of(r) != comm.node_of(r - 1)) out.push_back(r);
  return out;
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  ClockFacts mine = {.rank = comm.rank(), .host = host_name()};
  const std::vector<ClockFacts> hosts = gather_facts(comm, mine, "doctor clocks");
  std::vector<ClockFacts> out;
  for (const int rank : asked_ranks(comm)) {
    if (comm.rank() == rank) answer(comm);
    if (comm.rank() != 0) continue;
    out.push_back(ask_clock(comm, rank));
    out.back().host = hosts[static_cast<std::size_t>(rank)].host;
  }
  return out;
}

std::vector<Finding> judge(const nlohmann::json& facts) { return {judge_clocks(facts.get<std::vector<ClockFacts>>())}; }

std::string skew_text(const ClockFacts& clock) {
  return fmt::format("the clock of {} is {:.3g} s {} rank 0's", rank_text(clock.rank, clock.host), std::abs(clock.ahead_s),
                     clock.ahead_s < 0 ? "behind" : "ahead of");
}

}  // namespace

Finding judge_clocks(const std::vector<ClockFacts>& ranks) {
  if (ranks.empty()) return skipped("clocks", "there is no other rank to compare with");
  const auto worst = std::max_element(ranks.begin(), ranks.end(),
                                      [](const ClockFacts& a, const ClockFacts& b) { return std::abs(a.ahead_s) < std::abs(b.ahead_s); });
  Finding out = ok("clocks", fmt::format("at most {:.2g} ms apart (to {:.2g} ms)", 1e3 * std::abs(worst->ahead_s), 1e3 * worst->within_s));
  if (std::abs(worst->ahead_s) - worst->within_s > kWarnAt)
    out = warning("clocks", skew_text(*worst), "run chrony or ntpd on all hosts; training goes on, but times in logs cannot be compared");
  out.values["ranks"] = ranks;
  return out;
}

Probe clocks_probe() {
  return {.name = "clocks", .checks = {"clocks"}, .share = std::chrono::seconds(3), .needs_peers = true, .ask = ask, .judge = judge};
}

}  // namespace chorale
