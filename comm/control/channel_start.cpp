// How a rank comes into the control channel: it connects, says hello, and comes again where the connection ends before it is welcome.
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include <chorale/comm/control/channel.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
constexpr auto kComeAgainAfter = std::chrono::milliseconds(20);
constexpr auto kComeAgainWithin = std::chrono::seconds(2);
}  // namespace

ControlChannel::ControlChannel(Options options, std::chrono::milliseconds limit)
    : options_(std::move(options)), silence_(options_.silence), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (options_.local_rank == 0) neighbours_.emplace(options_.hub.secret);
  connect(limit);
  heard_ = turned_ = Clock::now();
  welcome_until_ = heard_ + std::max(limit, options_.welcome_within);
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, welcome_until_, [this] { return is_welcome_ || hub_lost_; }) && is_welcome_) return;
  is_over_ = true;
  hub_silent_ = hub_silent_ || !hub_lost_;
  lock.unlock();
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
  throw_not_welcome();
}

void ControlChannel::throw_not_welcome() const {
  const std::string who = "[control] " + options_.hub.text(), rank = " rank " + std::to_string(options_.rank);
  if (is_refused_)
    throw CommError(options_.rank, "control", 0,
                    who + " has refused" + rank + ": it does not know the secret of that run, or this rank is there already");
  if (hub_lost_ && !hub_silent_) throw HubGone(options_.rank, "control", 0, who + " has ended before it welcomed" + rank);
  const std::string again =
      came_again_ > 0 ? "; it has ended " + std::to_string(came_again_) + " connections before, see whether others crowd that port" : "";
  CommError late(options_.rank, "control", 0, who + " has not welcomed" + rank + " in time" + again);
  late.is_late = true;
  throw late;
}

void ControlChannel::connect(std::chrono::milliseconds limit) {
  const auto is_gone = [this](int) { return options_.is_hub_gone && options_.is_hub_gone(); };
  try {
    hub_.emplace(connect_to(options_.hub.host, options_.hub.port, limit, is_gone));
  } catch (const CommError& e) {
    if (is_gone(0)) throw HubGone(options_.rank, e.op, 0, e.what());
    throw;
  }
  greet();
}

/// After an end before the welcome. False: there is no reason to, or nobody listens there any more.
bool ControlChannel::comes_again() {
  {
    const std::lock_guard lock(mutex_);
    if (is_welcome_ || is_refused_ || is_over_) return false;
  }
  while (Clock::now() < welcome_until_) {
    ++came_again_;
    std::this_thread::sleep_for(kComeAgainAfter);
    bool is_refused = false;
    try {
      hub_.emplace(connect_to(options_.hub.host, options_.hub.port, kComeAgainWithin,
                              [&](int error) { return is_refused = error == ECONNREFUSED; }));
      leader_.reset();
      greet();
      return true;
    } catch (const CommError&) {
      if (is_refused) return false;
    }
  }
  lose_hub("has not welcomed us in time", true);
  return true;
}

void ControlChannel::greet() {
  hub_->send({.kind = ControlMessage::Kind::hello,
              .rank = options_.rank,
              .code = options_.local_rank,
              .number = options_.process,
              .port = neighbours_ ? neighbours_->port() : std::uint16_t{0},
              .text = options_.hub.secret + "\n" + options_.host});
  hub_->flush(kSendWithin);  // at once: who has not spoken yet may be crowded out
}

}  // namespace chorale
