#include <chorale/launcher/supervisor/hosted_hub.hpp>

#include <algorithm>

#include <chorale/launcher/supervisor/rank_ends.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kGoodbyesWithin = 5s;
constexpr auto kGatherFor = 300ms;  // the first news of a failure need not be its cause; ranks that can speak end by themselves
constexpr auto kComing = 500ms;     // over the deadline: processes do not start at one moment
constexpr const char* kHere = "127.0.0.1";
}  // namespace

HostedHub::HostedHub(Options options)
    : options_(std::move(options)),
      hub_({.ranks = options_.ranks, .secret = new_secret(), .address = options_.is_on_one_node ? kHere : "0.0.0.0"}),
      silence_(options_.deadline) {
  thread_ = std::thread([this] { run(); });
}

HostedHub::~HostedHub() {
  over_ = true;
  thread_.join();
}

ControlAddress HostedHub::address() const {
  return {.host = options_.is_on_one_node ? kHere : host_name(), .port = hub_.port(), .secret = hub_.secret()};
}

void HostedHub::run() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point fallen_at{}, over_at{};
  // It stays until all have said goodbye: to those who have not, its end would be a reason to leave.
  while (!over_ || (hub_.present() > 0 && Clock::now() - over_at < kGoodbyesWithin)) {
    if (!over_) over_at = Clock::now();
    hub_.serve(over_ ? 5ms : 100ms);
    if (!over_ && hub_.fallen().empty()) look_for_the_unheard();
    if (hub_.fallen().empty() && !unheard_) continue;
    note_ends();
    if (fallen_at == Clock::time_point{}) fallen_at = Clock::now();
    if (Clock::now() - fallen_at < kGatherFor && !unheard_) continue;
    const Verdict found = *verdict_of(ends());
    hub_.leave(found.code, found.cause, found.rank);
    has_told_ = true;
  }
}

void HostedHub::look_for_the_unheard() {
  const std::optional<Silence> silent = silence_.look(hub_);
  if (unheard_) return;
  unheard_ = silent ? silent : absent_rank();
}

/// One question at a time: each takes as long as that rank does not answer.
std::optional<Silence> HostedHub::absent_rank() {
  if (silence_.awake() < options_.deadline + kComing) return std::nullopt;
  for (int rank = 0; rank < options_.ranks; ++rank) {
    if (hub_.ranks()[static_cast<std::size_t>(rank)].state != RankStatus::State::awaited || unreachable_.contains(rank)) continue;
    if (!options_.is_unreachable(rank)) return absence_of(rank, silence_.awake());
    unreachable_.insert(rank);
  }
  return std::nullopt;
}

void HostedHub::note_ends() {
  std::vector<RankEnd> now = ends_in(hub_, {.memory_kills_here = kills_.count()});
  if (unheard_)
    now.insert(
        now.begin(),
        {.rank = unheard_->rank, .kind = CauseKind::unheard, .cause = unheard_->cause + strangers_text(hub_), .where = unheard_->where});
  const std::lock_guard lock(mutex_);
  ends_ = std::move(now);
}

std::vector<RankEnd> HostedHub::ends() const {
  const std::lock_guard lock(mutex_);
  return ends_;
}

}  // namespace chorale
