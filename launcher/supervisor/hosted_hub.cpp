#include <chorale/launcher/supervisor/hosted_hub.hpp>

#include <chorale/comm/control/channel.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kByeWithin = 2s;     // ranks that find their hub gone before they have said goodbye take it for a death and end with 75
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
  for (;;) {
    if (over_ && over_at == Clock::time_point{}) over_at = Clock::now();
    if (over_ && (hub_.present() == 0 || !hub_.fallen().empty() || Clock::now() - over_at > kByeWithin)) return;
    hub_.serve(over_ ? 10ms : 100ms);
    if (hub_.fallen().empty()) continue;
    if (fallen_at == Clock::time_point{}) fallen_at = Clock::now();
    if (Clock::now() - fallen_at < kGatherFor) continue;
    const int first = hub_.fallen().front();
    const RankStatus& rank = hub_.ranks()[static_cast<std::size_t>(first)];
    const std::string who = "rank " + std::to_string(first) + " (node " + rank.host + ", process " + std::to_string(rank.process) + ")";
    hub_.leave(rank.code.value_or(static_cast<int>(ExitCode::comm)),
               rank.cause.empty() ? who + " has ended without a word, last seen in " + rank.sighting.text() : who + ": " + rank.cause);
  }
}

}  // namespace chorale
