// The control channel's centre: knows where every rank was last seen, who left and why, and passes on "stop" and "leave". In the process
// that started the ranks, or in rank 0's where somebody else did. Needs no MPI.
#pragma once
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/base/process_end.hpp>

namespace chorale {

/// What the hub knows of one rank.
struct RankStatus {
  enum class State { awaited, here, left, lost };  // lost: its connection ended without a goodbye
  using Clock = std::chrono::steady_clock;
  State state = State::awaited;
  std::string host;
  std::int64_t process = 0;
  Sighting sighting;
  Clock::time_point heard, moved;   // when it last spoke, when it was last seen to get on
  bool is_done = false;             // its work is; it ends MPI
  std::optional<int> status;        // of its process, as waitpid gives it, where somebody on its node has seen its end
  std::optional<int> code;          // with which it ends or has ended, as far as it said so
  std::string cause;                // why, where it failed
  CauseKind kind = CauseKind::own;  // of its end; without words: follows where it was told to leave before
  int culprit = -1;                 // the rank that it names; -1: itself
  std::string culprit_where;        // what that one did, by the same words; empty: they do not say
  std::int64_t memory_kills = 0;    // that it has counted in its control group
  int through = -1;                 // the leader whose connection it shares
};

/// One thread.
class ControlHub {
 public:
  struct Options {
    int ranks;
    std::string secret;               // who does not know it is refused
    std::string address = "0.0.0.0";  // to listen on
    std::uint16_t port = 0;           // 0: any
  };
  explicit ControlHub(Options options);
  std::uint16_t port() const { return port_; }
  const std::string& secret() const { return options_.secret; }
  const std::vector<RankStatus>& ranks() const { return ranks_; }
  int registered() const;  // have ever been here
  int present() const;     // are here
  int working() const;     // are here, and have work to do
  /// Ranks in the order in which they were lost or gave a cause.
  const std::vector<int>& fallen() const { return fallen_; }
  /// Processes that the kernel has killed for want of memory on that node, as its ranks have counted since they began.
  std::int64_t memory_kills_on(const std::string& host) const;
  /// Waits at most `limit` for news and handles them.
  void serve(std::chrono::milliseconds limit);
  /// All ranks checkpoint at the next step boundary and end. kind: the signal that asked for it.
  void stop(int kind);
  /// All ranks end now, with this code. Ranks that come later hear it too. culprit: the rank that it began with; -1: none.
  void leave(int code, const std::string& cause, int culprit = -1);
  /// Connections refused because they did not know the secret, said nothing, came twice or spoke another language.
  int refused() const { return refused_; }

 private:
  struct Peer {
    ControlConnection connection;
    RankStatus::Clock::time_point since;
    int rank = -1;                               // its own; -1: has not said hello
    std::uint16_t port = 0;                      // where it listens for ranks of its node
    std::optional<ControlMessage> waiting = {};  // a hello whose node's leader is not here yet
    bool closed = false;
  };
  void accept_all();
  void hear(Peer& peer);
  void end_oldest_stranger();
  void handle(Peer& peer, const ControlMessage& message);
  void greet(Peer& peer, const ControlMessage& hello);
  bool knows_secret(const ControlMessage& hello) const;
  Peer* leader_on(const std::string& host);
  void redirect_waiting();
  void note_end(int rank, const ControlMessage& message);
  void lose(int rank);
  void answer(Peer& peer, const ControlMessage& question);
  void tell_all(const ControlMessage& message);
  void drop_closed();
  void hear_witness(Peer& peer, const ControlMessage& message);
  void look_at_ends();

  Options options_;
  std::uint16_t port_;
  Descriptor listener_;
  std::vector<RankStatus> ranks_;
  std::map<int, ProcessEnd> processes_;  // of ranks on this node
  std::vector<int> fallen_;
  std::list<Peer> peers_;
  std::optional<ControlMessage> stopping_, leaving_;
  RankStatus::Clock::time_point last_beat_;
  int refused_ = 0;
};

}  // namespace chorale
