#include <chorale/launcher/supervisor/hosted_hub.hpp>

#include <chorale/comm/control/channel.hpp>
#include <chorale/launcher/supervisor/rank_ends.hpp>

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
    note_ends();
    if (fallen_at == Clock::time_point{}) fallen_at = Clock::now();
    if (Clock::now() - fallen_at < kGatherFor) continue;
    const Verdict found = *verdict_of(ends());
    hub_.leave(found.code, found.cause, found.rank);
  }
}

void HostedHub::note_ends() {
  std::vector<RankEnd> now = ends_in(hub_, {.memory_kills_here = kills_.count()});
  const std::lock_guard lock(mutex_);
  ends_ = std::move(now);
}

std::vector<RankEnd> HostedHub::ends() const {
  const std::lock_guard lock(mutex_);
  return ends_;
}

}  // namespace chorale
