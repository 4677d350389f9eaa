// What the first rank of a node does for the others of it: they reach the hub through its control channel.
#pragma once
#include <poll.h>

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/base/process_end.hpp>

namespace chorale {

/// A process of this node whose connection has ended, and whose end is not known yet.
struct Departed {
  int rank;
  ProcessEnd process;
  std::chrono::steady_clock::time_point since;
};

/// The channel's thread.
class Neighbours {
 public:
  /// Listens on the loopback: a neighbour is on this node. secret: who does not know it, says nothing within 30 s or is the oldest
  /// of too many that have said nothing is cut off; the hub does not hear of it. Throws IoError.
  explicit Neighbours(std::string secret) : secret_(std::move(secret)), listener_(listen_at("127.0.0.1", port_)) {}
  std::uint16_t port() const { return port_; }
  bool empty() const { return neighbours_.empty(); }
  /// An end of one of them is still to be found out: look again soon.
  bool is_curious() const { return !departed_.empty(); }
  /// What to wait for.
  void watch(std::vector<pollfd>& waiting) const;
  /// Takes who comes, hands on what they say, and tells how those who have gone have ended. hub: null, where it has gone.
  void serve(ControlConnection* hub);
  /// What the hub says to one of them, or to all.
  void pass_on(const ControlMessage& message);
  /// Their way to the hub has ended.
  void drop() { neighbours_.clear(); }

 private:
  struct Neighbour {
    ControlConnection connection;
    int rank = -1;
    bool closed = false;
    std::optional<ProcessEnd> process = {};
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  };
  void accept_all(ControlConnection* hub);
  void hear(Neighbour& neighbour, ControlConnection* hub);
  void follow_departed(ControlConnection* hub);
  std::string secret_;
  std::uint16_t port_ = 0;
  Descriptor listener_;
  std::list<Neighbour> neighbours_;
  std::list<Departed> departed_;
};

}  // namespace chorale
