#include <chorale/comm/control/hub.hpp>

#include <poll.h>

#include <algorithm>

#include <chorale/comm/control/address.hpp>

namespace chorale {

namespace {
using Clock = RankStatus::Clock;
using Kind = ControlMessage::Kind;
constexpr auto kBeatEvery = std::chrono::milliseconds(1000);

}  // namespace

ControlHub::ControlHub(Options options)
    : options_(std::move(options)),
      port_(options_.port),
      listener_(listen_at(options_.address, port_)),
      ranks_(static_cast<std::size_t>(options_.ranks)) {}

int ControlHub::registered() const {
  return static_cast<int>(
      std::count_if(ranks_.begin(), ranks_.end(), [](const RankStatus& r) { return r.state != RankStatus::State::awaited; }));
}

int ControlHub::present() const {
  return static_cast<int>(
      std::count_if(ranks_.begin(), ranks_.end(), [](const RankStatus& r) { return r.state == RankStatus::State::here; }));
}

int ControlHub::working() const {
  return static_cast<int>(
      std::count_if(ranks_.begin(), ranks_.end(), [](const RankStatus& r) { return r.state == RankStatus::State::here && !r.is_done; }));
}

std::int64_t ControlHub::memory_kills_on(const std::string& host) const {
  std::int64_t out = 0;
  for (const RankStatus& rank : ranks_)
    if (rank.host == host) out = std::max(out, rank.memory_kills);
  return out;
}

void ControlHub::serve(std::chrono::milliseconds limit) {
  std::vector<pollfd> waiting = {{listener_.number(), POLLIN, 0}};
  for (const Peer& peer : peers_)
    waiting.push_back({peer.connection.descriptor(), static_cast<short>(POLLIN | (peer.connection.wants_to_write() ? POLLOUT : 0)), 0});
  ::poll(waiting.data(), waiting.size(), static_cast<int>(limit.count()));
  accept_all();
  for (Peer& peer : peers_) {
    hear(peer);
    if (peer.closed || peer.rank >= 0 || Clock::now() - peer.since <= kHelloWithin) continue;
    peer.closed = true;
    if (!peer.waiting) ++refused_;
  }
  redirect_waiting();
  if (Clock::now() - last_beat_ >= kBeatEvery) {
    last_beat_ = Clock::now();
    tell_all({.kind = Kind::beat});
  }
  drop_closed();
  look_at_ends();
}

/// Only of those that fell: who lives is not asked.
void ControlHub::look_at_ends() {
  for (const int rank : fallen_)
    if (const auto process = processes_.find(rank); process != processes_.end() && !ranks_[static_cast<std::size_t>(rank)].status)
      ranks_[static_cast<std::size_t>(rank)].status = process->second.status();
}

void ControlHub::accept_all() {
  for (int i = 0; i < kMostComing; ++i) {
    Descriptor socket = accept_from(listener_);
    if (!socket) return;
    peers_.push_back({.connection = ControlConnection(std::move(socket)), .since = Clock::now()});
    hear(peers_.back());  // ranks that have come while we stood still have said hello, and are no strangers
    if (peers_.back().closed && peers_.back().rank < 0)
      peers_.pop_back();
    else
      end_oldest_stranger();
  }
}

/// Where there are too many: more than the ranks that are still to come, which may all have connected and not spoken yet, and 64.
void ControlHub::end_oldest_stranger() {
  const auto is_stranger = [](const Peer& peer) { return peer.rank < 0 && !peer.waiting; };
  const auto most = kMostStrangers + ranks_.size() - static_cast<std::size_t>(registered());
  if (static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), is_stranger)) <= most) return;
  peers_.erase(std::find_if(peers_.begin(), peers_.end(), is_stranger));
  ++refused_;
}

void ControlHub::hear(Peer& peer) {
  const bool stands = peer.connection.pump();
  for (const ControlMessage& message : peer.connection.take())
    if (!peer.closed) handle(peer, message);
  peer.closed = peer.closed || !stands;
}

void ControlHub::handle(Peer& peer, const ControlMessage& message) {
  if (message.kind == Kind::hello) return greet(peer, message);
  if (message.kind == Kind::witness) return hear_witness(peer, message);
  const bool is_known = message.rank >= 0 && message.rank < options_.ranks;
  const bool speaks_for_it =
      is_known && peer.rank >= 0 && (message.rank == peer.rank || ranks_[static_cast<std::size_t>(message.rank)].through == peer.rank);
  if (!speaks_for_it) {
    peer.closed = true;
    ++refused_;
    return;
  }
  RankStatus& rank = ranks_[static_cast<std::size_t>(message.rank)];
  rank.heard = Clock::now();
  if (message.kind == Kind::beat) {
    if (message.sighting.beat != rank.sighting.beat) rank.moved = rank.heard;
    rank.sighting = message.sighting;
    rank.memory_kills = std::max(rank.memory_kills, message.number);
  } else if (message.kind == Kind::cause || message.kind == Kind::done || message.kind == Kind::bye) {
    note_end(message.rank, message);
  } else if (message.kind == Kind::gone) {
    lose(message.rank);
    if (message.number > 0 && rank.state == RankStatus::State::lost) rank.status = static_cast<int>(message.number - 1);
  } else if (message.kind == Kind::ask) {
    answer(peer, message);
  }
}

bool ControlHub::knows_secret(const ControlMessage& hello) const { return same_secret(secret_in(hello.text), options_.secret); }

ControlHub::Peer* ControlHub::leader_on(const std::string& host) {
  for (Peer& peer : peers_)
    if (peer.rank >= 0 && peer.port != 0 && ranks_[static_cast<std::size_t>(peer.rank)].host == host) return &peer;
  return nullptr;
}

void ControlHub::greet(Peer& peer, const ControlMessage& hello) {
  const bool is_free =
      hello.rank >= 0 && hello.rank < options_.ranks && ranks_[static_cast<std::size_t>(hello.rank)].state == RankStatus::State::awaited;
  const bool is_relayed = peer.rank >= 0;
  if (!is_free || !knows_secret(hello)) {
    ++refused_;
    if (is_relayed) return;  // who shares a leader's connection takes nothing from it
    peer.connection.send({.kind = Kind::refuse, .rank = hello.rank});
    peer.connection.flush(std::chrono::milliseconds(0));
    peer.closed = true;
    return;
  }
  const std::string host(host_in(hello.text));
  // Ranks of the hub's own node come straight; those of others share their leader's connection.
  if (!is_relayed && hello.code > 0 && host != host_name()) {
    peer.waiting = hello;
    if (leaving_) peer.connection.send(*leaving_);
    return;
  }
  if (!is_relayed) peer.rank = hello.rank, peer.port = hello.port;
  RankStatus& rank = ranks_[static_cast<std::size_t>(hello.rank)];
  rank.state = RankStatus::State::here;
  rank.host = host, rank.process = hello.number;
  rank.heard = rank.moved = Clock::now();
  rank.through = is_relayed ? peer.rank : -1;
  if (host == host_name()) processes_.insert_or_assign(hello.rank, ProcessEnd(hello.number));
  peer.connection.send({.kind = Kind::welcome, .rank = hello.rank});
  for (const auto* order : {&stopping_, &leaving_})
    if (*order) peer.connection.send(**order);
}

/// What its neighbours know of a leader's end they cannot say through it.
void ControlHub::hear_witness(Peer& peer, const ControlMessage& message) {
  peer.closed = true;
  if (!knows_secret(message) || message.code < 0 || message.code >= options_.ranks) {
    ++refused_;
    return;
  }
  RankStatus& rank = ranks_[static_cast<std::size_t>(message.code)];
  if (rank.host == host_in(message.text) && message.number > 0) rank.status = static_cast<int>(message.number - 1);
}

void ControlHub::redirect_waiting() {
  for (Peer& peer : peers_) {
    if (!peer.waiting) continue;
    const Peer* leader = leader_on(std::string(host_in(peer.waiting->text)));
    if (!leader) continue;
    peer.connection.send({.kind = Kind::redirect,
                          .rank = peer.waiting->rank,
                          .code = leader->rank,
                          .number = ranks_[static_cast<std::size_t>(leader->rank)].process,
                          .port = leader->port});
    peer.connection.flush(std::chrono::milliseconds(100));
    peer.closed = true;
  }
}

void ControlHub::note_end(int index, const ControlMessage& message) {
  RankStatus& rank = ranks_[static_cast<std::size_t>(index)];
  rank.code = message.code;
  rank.is_done = message.kind != Kind::cause;
  if (message.kind == Kind::done) {
    rank.sighting.activity = message.sighting.activity;  // the step stays
    std::copy(std::begin(message.sighting.what), std::end(message.sighting.what), std::begin(rank.sighting.what));
    return;
  }
  if (message.kind == Kind::bye) {
    if (rank.state == RankStatus::State::here) rank.state = RankStatus::State::left;
    return;
  }
  const bool is_first_word = rank.cause.empty();
  const bool is_known_kind = message.number >= 0 && message.number <= static_cast<std::int64_t>(CauseKind::late);
  const std::size_t where_ends = std::min(message.text.size(), message.text.find('\n'));
  rank.culprit_where = message.text.substr(0, where_ends);
  rank.cause = message.text.substr(std::min(message.text.size(), where_ends + 1)),
  rank.kind = is_known_kind ? static_cast<CauseKind>(message.number) : CauseKind::follows;
  rank.culprit = message.port <= options_.ranks ? message.port - 1 : -1;
  if (is_first_word) fallen_.push_back(index);
}

void ControlHub::lose(int index) {
  RankStatus& rank = ranks_[static_cast<std::size_t>(index)];
  if (rank.state != RankStatus::State::here) return;
  rank.state = RankStatus::State::lost;
  if (!rank.cause.empty()) return;
  if (leaving_) rank.kind = CauseKind::follows;
  fallen_.push_back(index);
}

void ControlHub::answer(Peer& peer, const ControlMessage& question) {
  if (question.code < 0 || question.code >= options_.ranks) return;
  const RankStatus& rank = ranks_[static_cast<std::size_t>(question.code)];
  const auto still = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - rank.moved);
  peer.connection.send({.kind = Kind::answer,
                        .rank = question.rank,
                        .code = question.code,
                        .number = rank.state == RankStatus::State::awaited ? -1 : still.count(),
                        .port = rank.state == RankStatus::State::here,
                        .sighting = rank.sighting,
                        .text = rank.host});
}

void ControlHub::tell_all(const ControlMessage& message) {
  for (Peer& peer : peers_) {
    if (peer.rank < 0 && !peer.waiting) continue;
    peer.connection.send(message);
    peer.connection.pump();
  }
}

void ControlHub::stop(int kind) {
  if (stopping_) return;
  stopping_ = ControlMessage{.kind = Kind::stop, .code = kind};
  tell_all(*stopping_);
}

void ControlHub::leave(int code, const std::string& cause, int culprit) {
  if (leaving_) return;
  leaving_ = ControlMessage{.kind = Kind::leave, .code = code, .number = culprit, .text = cause};
  tell_all(*leaving_);
}

void ControlHub::drop_closed() {
  for (const Peer& peer : peers_) {
    if (!peer.closed || peer.rank < 0) continue;
    lose(peer.rank);
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      if (ranks_[r].through == peer.rank) lose(static_cast<int>(r));
  }
  peers_.remove_if([](const Peer& peer) { return peer.closed; });
}

}  // namespace chorale
