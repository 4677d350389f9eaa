#include <chorale/launcher/supervisor/hosted_hub.hpp>

#include <chorale/comm/control/channel.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kGoodbyesWithin = 5s;
constexpr auto kGatherFor = 300ms;  // the first news of a failure need not be its cause; ranks that can speak end by themselves
}  // namespace

HostedHub::HostedHub(int ranks) : hub_({.ranks = ranks, .secret = new_secret()}) {
  thread_ = std::thread([this] { run(); });
}

HostedHub::~HostedHub() {
  over_ = true;
  thread_.join();
}

void HostedHub::run() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point fallen_at{}, over_at{};
  // It stays until all have said goodbye: to those who have not, its end would be a reason to leave.
  while (!over_ || (hub_.present() > 0 && Clock::now() - over_at < kGoodbyesWithin)) {
    if (!over_) over_at = Clock::now();
    hub_.serve(over_ ? 5ms : 100ms);
    if (hub_.fallen().empty()) continue;
    if (fallen_at == Clock::time_point{}) fallen_at = Clock::now();
    if (Clock::now() - fallen_at < kGatherFor) continue;
    const int first = hub_.fallen().front();
    const RankStatus& rank = hub_.ranks()[static_cast<std::size_t>(first)];
    const std::string who = "rank " + std::to_string(first) + " (node " + rank.host + ", process " + std::to_string(rank.process) + ")";
    const std::int64_t kills = rank.cause.empty() ? hub_.memory_kills_on(rank.host) : 0;
    const std::string memory = kills > 0 ? ", its memory cgroup counted " + std::to_string(kills) + " oom_kill" : "";
    hub_.leave(rank.code.value_or(static_cast<int>(ExitCode::comm)),
               rank.cause.empty() ? who + " has ended without a word" + memory + ", last seen in " + rank.sighting.text()
                                  : who + ": " + rank.cause);
  }
}

}  // namespace chorale
