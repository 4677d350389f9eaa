#include <chorale/comm/control/channel.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
using Kind = ControlMessage::Kind;
constexpr auto kSayEvery = std::chrono::milliseconds(500);
constexpr auto kNeighboursWithin = std::chrono::seconds(2);
constexpr auto kSendWithin = std::chrono::milliseconds(500);
constexpr auto kEndWithin = std::chrono::seconds(2);  // a parent asks for its child
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr auto kLeaderEndWithin = std::chrono::milliseconds(300);
constexpr int kWitnesses = 3;  // of a node
}  // namespace

ControlAddress ControlAddress::parse(const std::string& text, std::string secret) {
  const std::size_t colon = text.rfind(':');
  ControlAddress out{.host = text.substr(0, colon), .secret = std::move(secret)};
  const char* first = text.data() + std::min(text.size(), colon == std::string::npos ? text.size() : colon + 1);
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), out.port);
  if (out.host.empty() || error != std::errc() || end != text.data() + text.size() || out.port == 0)
    throw UsageError("[control] address '" + text + "' is refused: expected HOST:PORT");
  return out;
}

std::string new_secret() {
  std::array<unsigned char, 16> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw IoError("[control] no random numbers");
  std::string out;
  for (const unsigned char b : bytes) out += "0123456789abcdef"[b >> 4], out += "0123456789abcdef"[b & 15];
  return out;
}

std::int64_t own_process_number() { return ::getpid(); }

ControlChannel::ControlChannel(Options options, std::chrono::milliseconds limit)
    : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  const Clock::time_point until = Clock::now() + limit;
  if (options_.local_rank == 0) listener_ = listen_at("127.0.0.1", port_);
  hub_.emplace(connect_to(options_.hub.host, options_.hub.port, limit));
  greet();
  heard_ = Clock::now();
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, until, [this] { return is_welcome_ || hub_lost_; }) && is_welcome_) return;
  const bool refused = hub_lost_;
  is_over_ = true;
  lock.unlock();
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
  throw CommError(options_.rank, "control", 0,
                  "[control] " + options_.hub.text() + (refused ? " has refused rank " : " has not welcomed rank ") +
                      std::to_string(options_.rank) +
                      (refused ? ": it belongs to another run, or this rank is there already" : " in time"));
}

ControlChannel::~ControlChannel() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
}

void ControlChannel::greet() {
  hub_->send({.kind = Kind::hello,
              .rank = options_.rank,
              .code = options_.local_rank,
              .number = options_.process,
              .port = port_,
              .text = options_.hub.secret + "\n" + options_.host});
}

void ControlChannel::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (is_over_ && over_at_ == Clock::time_point{}) over_at_ = Clock::now();
      // A leader stays until its neighbours have said goodbye through it.
      if (is_over_ && outbox_.empty() && (neighbours_.empty() || Clock::now() - over_at_ > kNeighboursWithin)) break;
    }
    turn();
  }
  if (hub_) hub_->flush(kSendWithin);
}

void ControlChannel::turn() {
  std::vector<pollfd> waiting = {{wake_.number(), POLLIN, 0}};
  if (hub_) waiting.push_back({hub_->descriptor(), static_cast<short>(POLLIN | (hub_->wants_to_write() ? POLLOUT : 0)), 0});
  if (listener_) waiting.push_back({listener_.number(), POLLIN, 0});
  for (const Neighbour& n : neighbours_) waiting.push_back({n.connection.descriptor(), POLLIN, 0});
  ::poll(waiting.data(), waiting.size(), static_cast<int>((departed_.empty() ? kSayEvery : kLookEvery).count()));
  eventfd_t ignored = 0;
  ::eventfd_read(wake_.number(), &ignored);
  serve_neighbours();
  follow_departed();
  if (Clock::now() - said_ >= kSayEvery) say_where();
  send_outbox();
  if (!hub_) return;
  const int descriptor = hub_->descriptor();
  const bool stands = hub_->pump();
  for (const ControlMessage& message : hub_->take()) hear(message);
  if (hub_ && hub_->descriptor() != descriptor) return;  // sent on to a leader
  if (!stands && hub_)
    lose_hub("has gone");
  else if (hub_ && Clock::now() - heard_ > options_.silence)
    lose_hub("has said nothing for " + std::to_string(options_.silence.count() / 1000) + " s");
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
    } catch (const CommError&) {
      lose_hub("has sent us to a leader that does not answer");
    }
    return;
  }
  pass_on(message);
  if (message.rank >= 0 && message.rank != options_.rank) return;
  if (message.kind == Kind::stop && options_.on_stop) options_.on_stop(message.code);
  if (message.kind == Kind::leave) {
    say_where();  // the step that it has come to: what was said last may be half a second old
    if (hub_) hub_->flush(kSendWithin);
    order_to_leave({message.code, message.text, CauseKind::follows, static_cast<int>(message.number)});
  }
  const std::lock_guard lock(mutex_);
  if (message.kind == Kind::welcome) is_welcome_ = true;
  if (message.kind == Kind::answer) answer_ = message;
  changed_.notify_all();
}

void ControlChannel::serve_neighbours() {
  if (!listener_) return;
  while (Descriptor socket = accept_from(listener_)) neighbours_.push_back({.connection = ControlConnection(std::move(socket))});
  for (Neighbour& n : neighbours_) {
    n.closed = !n.connection.pump();
    for (const ControlMessage& message : n.connection.take()) {
      if (message.kind == Kind::hello && n.rank < 0 && message.code > 0) n.rank = message.rank, n.process.emplace(message.number);
      if (n.rank < 0 || message.rank != n.rank)
        n.closed = true;
      else if (hub_)
        hub_->send(message);
    }
    if (!n.closed || n.rank < 0 || !hub_) continue;
    hub_->send({.kind = Kind::gone, .rank = n.rank});
    if (n.process) departed_.push_back({n.rank, std::move(*n.process), Clock::now()});
  }
  neighbours_.remove_if([](const Neighbour& n) { return n.closed; });
}

/// Its connection ends before its process does, which its parent has to ask for.
void ControlChannel::follow_departed() {
  departed_.remove_if([this](Departed& d) {
    const std::optional<int> status = d.process.status();
    if (status && hub_) hub_->send({.kind = Kind::gone, .rank = d.rank, .number = *status + 1});
    return status || Clock::now() - d.since > kEndWithin;
  });
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

void ControlChannel::pass_on(const ControlMessage& message) {
  for (Neighbour& n : neighbours_) {
    if (n.rank < 0 || (message.rank >= 0 && message.rank != n.rank)) continue;
    n.connection.send(message);
    n.connection.flush(std::chrono::milliseconds(50));
  }
}

void ControlChannel::lose_hub(const std::string& why) {
  hub_.reset();
  bool is_expected = false;
  {
    const std::lock_guard lock(mutex_);
    hub_lost_ = true;
    is_expected = said_bye_ || !is_welcome_;
    changed_.notify_all();
  }
  neighbours_.clear();
  if (!is_expected) witness_leader();
  const std::string who =
      options_.local_rank == 0 ? "the process that watches the run" : "the process that watches the run, or the way to it,";
  if (!is_expected) order_to_leave({static_cast<int>(ExitCode::comm), who + " (" + options_.hub.text() + ") " + why, CauseKind::peer});
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
