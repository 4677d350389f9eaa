#include <chorale/comm/control/neighbours.hpp>

#include <algorithm>

#include <chorale/comm/control/address.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
using Kind = ControlMessage::Kind;
constexpr auto kEndWithin = std::chrono::seconds(2);  // a parent asks for its child
constexpr auto kPassWithin = std::chrono::milliseconds(50);
}  // namespace

void Neighbours::watch(std::vector<pollfd>& waiting) const {
  waiting.push_back({listener_.number(), POLLIN, 0});
  for (const Neighbour& n : neighbours_) waiting.push_back({n.connection.descriptor(), POLLIN, 0});
}

void Neighbours::serve(ControlConnection* hub) {
  accept_all(hub);
  for (Neighbour& n : neighbours_) {
    if (!n.closed) hear(n, hub);
    if (!n.closed || n.rank < 0 || !hub) continue;
    hub->send({.kind = Kind::gone, .rank = n.rank});
    if (n.process) departed_.push_back({n.rank, std::move(*n.process), Clock::now()});
  }
  neighbours_.remove_if([](const Neighbour& n) { return n.closed; });
  follow_departed(hub);
}

void Neighbours::accept_all(ControlConnection* hub) {
  const auto is_stranger = [](const Neighbour& n) { return n.rank < 0; };
  for (int i = 0; i < kMostComing; ++i) {
    Descriptor socket = accept_from(listener_);
    if (!socket) return;
    neighbours_.push_back({.connection = ControlConnection(std::move(socket))});
    hear(neighbours_.back(), hub);  // who has come while we stood still, and said hello, is no stranger
    if (static_cast<std::size_t>(std::count_if(neighbours_.begin(), neighbours_.end(), is_stranger)) > kMostStrangers)
      neighbours_.erase(std::find_if(neighbours_.begin(), neighbours_.end(), is_stranger));
  }
}

void Neighbours::hear(Neighbour& n, ControlConnection* hub) {
  n.closed = !n.connection.pump() || (n.rank < 0 && Clock::now() - n.since > kHelloWithin);
  for (const ControlMessage& message : n.connection.take()) {
    const bool is_hello = message.kind == Kind::hello && n.rank < 0 && message.code > 0;
    if (is_hello && same_secret(secret_in(message.text), secret_)) n.rank = message.rank, n.process.emplace(message.number);
    if (n.rank < 0 || message.rank != n.rank)
      n.closed = true;
    else if (hub)
      hub->send(message);
  }
}

/// A connection ends before its process does, which its parent has to ask for.
void Neighbours::follow_departed(ControlConnection* hub) {
  departed_.remove_if([&](Departed& d) {
    const std::optional<int> status = d.process.status();
    if (status && hub) hub->send({.kind = Kind::gone, .rank = d.rank, .number = *status + 1});
    return status || Clock::now() - d.since > kEndWithin;
  });
}

void Neighbours::pass_on(const ControlMessage& message) {
  for (Neighbour& n : neighbours_) {
    if (n.rank < 0 || (message.rank >= 0 && message.rank != n.rank)) continue;
    n.connection.send(message);
    n.connection.flush(kPassWithin);
  }
}

}  // namespace chorale
