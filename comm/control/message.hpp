// What travels on the control channel: one bounded frame. Never tensors. One program runs on all nodes, so fields travel as they lie.
// What comes from the wire is not trusted: a frame that is too long, too short or of an unknown kind is refused.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/presence.hpp>

namespace chorale {

/// What the words with which a rank ends are about.
enum class CauseKind : std::uint8_t {
  own,      // something that happened to it
  follows,  // only that another rank has failed
  peer,     // what it saw of another rank
  late,     // for whom it has waited in vain until the deadline
  unheard,  // never sent: by whoever watches, of a rank that says nothing any more
};

struct ControlMessage {
  enum class Kind : std::uint8_t {
    hello,     // rank to hub, first: text = secret, host; number = process; code = rank within its node; port = where a leader listens
    welcome,   // hub to rank: it belongs to the run
    redirect,  // hub to rank: go through your node's leader, rank `code`, at `port`; number = its process
    beat,      // either way: alive; a rank adds where it is, and number = processes killed for memory in its control group since it began
    cause,     // rank to hub: why it ends, with the code; number = its CauseKind; port = 1 + the rank at fault, 0: itself; text = where
               // that one was seen, the words; a beat goes before it
    done,      // rank to hub: its work is done, with the code; MPI is still to be ended
    bye,       // rank to hub: it ends as it should, with the code
    gone,      // leader to hub: this rank's connection has ended; number = 1 + its process's status, 0: not known, a second one may tell
    stop,      // hub to ranks: checkpoint and end
    leave,     // hub to ranks: end now; code and text say why; number = the rank that it began with, -1: none
    ask,       // rank to hub: where is rank `code`?
    answer,    // hub to rank: rank `code` was seen there; number = ms since it got on, -1: never here; port = 1: it is here; text = host
    witness,   // stranger to hub, once: text = secret, host; the leader of that host, rank `code`, has ended; number = 1 + its status
    refuse,    // hub to rank `rank`: it does not know the secret, there is no such rank, or it is there already
  };
  Kind kind = Kind::beat;
  std::int32_t rank = -1;  // from whom, or for whom; -1: everybody
  std::int32_t code = 0;
  std::int64_t number = 0;
  std::uint16_t port = 0;
  Sighting sighting = {};
  std::string text = {};  // at most kMostText
  static constexpr std::size_t kMostText = 1024;
};

/// Length, then fields.
std::vector<std::byte> encoded(const ControlMessage& message);

/// Bytes of a stream become messages.
class ControlReader {
 public:
  void take(std::span<const std::byte> bytes);
  /// The next complete message; empty: more bytes are needed. Throws DataError for what no peer of ours sends.
  std::optional<ControlMessage> next();

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace chorale
