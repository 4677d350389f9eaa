#include <chorale/comm/control/channel.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
using Kind = ControlMessage::Kind;
constexpr auto kSayEvery = std::chrono::milliseconds(500);
constexpr auto kNeighboursWithin = std::chrono::seconds(2);
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr auto kLeaderEndWithin = std::chrono::milliseconds(300);
constexpr int kWitnesses = 3;                         // of a node
constexpr auto kLongPause = std::chrono::seconds(3);  // between two turns: it was us who stood still

std::string seconds_of(Clock::duration time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", std::chrono::duration<double>(time).count());
  return text.data();
}
}  // namespace

std::int64_t own_process_number() { return ::getpid(); }

ControlChannel::~ControlChannel() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
}

void ControlChannel::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (is_over_ && over_at_ == Clock::time_point{}) over_at_ = Clock::now();
      // A leader stays until its neighbours have said goodbye through it.
      if (is_over_ && outbox_.empty() && (!neighbours_ || neighbours_->empty() || Clock::now() - over_at_ > kNeighboursWithin)) break;
    }
    turn();
  }
  if (hub_) hub_->flush(kSendWithin);
}

void ControlChannel::turn() {
  std::vector<pollfd> waiting = {{wake_.number(), POLLIN, 0}};
  if (hub_) waiting.push_back({hub_->descriptor(), static_cast<short>(POLLIN | (hub_->wants_to_write() ? POLLOUT : 0)), 0});
  if (neighbours_) neighbours_->watch(waiting);
  ::poll(waiting.data(), waiting.size(), static_cast<int>(until_next_turn().count()));
  eventfd_t ignored = 0;
  ::eventfd_read(wake_.number(), &ignored);
  if (neighbours_) neighbours_->serve(hub_ ? &*hub_ : nullptr);
  if (Clock::now() - said_ >= kSayEvery) say_where();
  send_outbox();
  if (!hub_) return;
  const int descriptor = hub_->descriptor();
  const bool stands = hub_->pump();
  for (const ControlMessage& message : hub_->take()) hear(message);
  if (hub_ && hub_->descriptor() != descriptor) return;  // sent on to a leader
  if (!stands && hub_) {
    if (!comes_again()) lose_hub("has gone");
  } else if (hub_ && is_silent(silence_))
    lose_hub("has said nothing for " + seconds_of(Clock::now() - heard_) + " s", true);
}

/// Unless somebody speaks. A hub that has been silent for too long is given up then, not half a second later.
std::chrono::milliseconds ControlChannel::until_next_turn() const {
  if (neighbours_ && neighbours_->is_curious()) return kLookEvery;
  if (!hub_) return kSayEvery;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(silence_.load() - (Clock::now() - heard_));
  return std::clamp<std::chrono::milliseconds>(left + std::chrono::milliseconds(1), std::chrono::milliseconds(1), kSayEvery);
}

/// The hub. When we were stopped ourselves, or the machine was, it gets as long again to speak.
bool ControlChannel::is_silent(std::chrono::milliseconds limit) {
  const Clock::time_point now = Clock::now();
  if (now - std::exchange(turned_, now) > kLongPause) heard_ = now;
  return now - heard_ > limit;
}

void ControlChannel::say_where() {
  said_ = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!is_welcome_) return;  // who has not been let in has nothing to say
  }
  const Presence* presence = presence_;
  if (hub_)
    hub_->send({.kind = Kind::beat, .rank = options_.rank, .number = kills_.count(), .sighting = presence ? presence->read() : Sighting{}});
}

void ControlChannel::send_outbox() {
  const std::lock_guard lock(mutex_);
  if (outbox_.empty()) return;
  for (const ControlMessage& message : outbox_) {
    // What this node knows of a death comes before what its ranks conclude.
    if (message.kind == Kind::cause && hub_)
      hub_->send({.kind = Kind::beat, .rank = options_.rank, .number = kills_.count(), .sighting = message.sighting});
    if (hub_) hub_->send(message);
  }
  if (hub_) hub_->flush(kSendWithin);
  outbox_.clear();
  changed_.notify_all();
}

void ControlChannel::hear(const ControlMessage& message) {
  heard_ = Clock::now();
  if (message.kind == Kind::redirect && message.rank == options_.rank) {
    try {
      ControlConnection leader(connect_to("127.0.0.1", message.port, std::chrono::seconds(5)));
      leader_.emplace(Departed{message.code, ProcessEnd(message.number), Clock::now()});
      hub_ = std::move(leader);  // the old one closes after the new one stands, so their numbers differ
      greet();
    } catch (const CommError&) {  // the hub has ended this connection too, and is asked again
    }
    return;
  }
  if (neighbours_) neighbours_->pass_on(message);
  if (message.rank >= 0 && message.rank != options_.rank) return;
  if (message.kind == Kind::stop && options_.on_stop) options_.on_stop(message.code);
  if (message.kind == Kind::leave) {
    say_where();  // the step that it has come to: what was said last may be half a second old
    if (hub_) hub_->flush(kSendWithin);
    order_to_leave({message.code, message.text, CauseKind::follows, static_cast<int>(message.number)});
  }
  const std::lock_guard lock(mutex_);
  if (message.kind == Kind::welcome) is_welcome_ = true;
  if (message.kind == Kind::refuse && !is_welcome_) is_refused_ = true;
  if (message.kind == Kind::answer) answer_ = message;
  changed_.notify_all();
}

/// The hub itself, not the leader through which it was heard: it is on another node and cannot see how that one ended.
void ControlChannel::witness_leader() {
  if (!leader_ || options_.local_rank > kWitnesses) return;
  const Clock::time_point until = Clock::now() + kLeaderEndWithin;
  while (!leader_->process.status() && Clock::now() < until) std::this_thread::sleep_for(kLookEvery);
  const std::optional<int> status = leader_->process.status();
  if (!status) return;
  try {
    ControlConnection hub(connect_to(options_.hub.host, options_.hub.port, kLeaderEndWithin));
    hub.send({.kind = Kind::witness,
              .rank = options_.rank,
              .code = leader_->rank,
              .number = *status + 1,
              .text = options_.hub.secret + "\n" + options_.host});
    hub.flush(kSendWithin);
  } catch (const CommError&) {  // it has gone too
  }
}

void ControlChannel::lose_hub(const std::string& why, bool is_silence) {
  hub_.reset();
  bool is_expected = false;
  {
    const std::lock_guard lock(mutex_);
    hub_lost_ = true, hub_silent_ = hub_silent_ || is_silence;
    is_expected = said_bye_ || !is_welcome_;
    changed_.notify_all();
  }
  if (neighbours_) neighbours_->drop();
  if (!is_expected) witness_leader();
  const std::string way = options_.local_rank == 0 ? "" : ", or the way to it,";
  const std::string text = options_.hub_name + " (" + options_.hub.text() + ")" + way + " " + why;
  if (!is_expected) order_to_leave({static_cast<int>(ExitCode::comm), text, is_silence ? CauseKind::late : CauseKind::peer});
}

void ControlChannel::order_to_leave(const Cause& why) {
  if (std::exchange(ordered_, true) || !options_.on_leave) return;
  options_.on_leave(why);
}

void ControlChannel::post(ControlMessage message) {
  std::unique_lock lock(mutex_);
  outbox_.push_back(std::move(message));
  ::eventfd_write(wake_.number(), 1);
  changed_.wait_for(lock, kSendWithin, [this] { return outbox_.empty(); });
}

void ControlChannel::tell(const Cause& cause) {
  const Presence* presence = presence_;
  std::string where = cause.culprit_where;
  std::replace(where.begin(), where.end(), '\n', ' ');
  post({.kind = Kind::cause,
        .rank = options_.rank,
        .code = cause.code,
        .number = static_cast<std::int64_t>(cause.kind),
        .port = static_cast<std::uint16_t>(cause.culprit + 1),
        .sighting = presence ? presence->read() : Sighting{},
        .text = where + "\n" + cause.text});
}

void ControlChannel::done(int code) {
  Presence end;
  end.enter(Activity::ending, "MPI");
  post({.kind = Kind::done, .rank = options_.rank, .code = code, .sighting = end.read()});
}

void ControlChannel::bye(int code) {
  {
    const std::lock_guard lock(mutex_);
    said_bye_ = true;
  }
  post({.kind = Kind::bye, .rank = options_.rank, .code = code});
}

std::optional<Whereabouts> ControlChannel::where(int rank, std::chrono::milliseconds limit) {
  const Clock::time_point until = Clock::now() + limit;
  {
    const std::lock_guard lock(mutex_);
    answer_.reset();
  }
  post({.kind = Kind::ask, .rank = options_.rank, .code = rank});
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, until, [&] { return hub_lost_ || (answer_ && answer_->code == rank); }) || !answer_) return std::nullopt;
  if (answer_->number < 0) return std::nullopt;  // it has never been there
  return Whereabouts{.sighting = answer_->sighting,
                     .still = std::chrono::milliseconds(answer_->number),
                     .host = answer_->text,
                     .is_here = answer_->port == 1};
}

}  // namespace chorale
