// A rank's end of the control channel: one small sleeping thread and one TCP connection, there before MPI is. It says twice a second where
// the rank is, why it ends, and hears "stop" and "leave". The first rank of a node also passes on what its neighbours say.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <chorale/comm/control/address.hpp>
#include <chorale/comm/control/connection.hpp>
#include <chorale/comm/control/neighbours.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/memory_kills.hpp>
#include <chorale/core/base/process_end.hpp>

namespace chorale {

std::int64_t own_process_number();

/// What the hub knows of another rank.
struct Whereabouts {
  Sighting sighting;
  std::chrono::milliseconds still{0};  // since it was last seen to get on
  std::string host;
  bool is_here = false;  // its connection stands
};

/// Who watches has ended before it welcomed this rank: it has listened, and does so no more.
struct HubGone : CommError {
  using CommError::CommError;
};

/// tell(), bye() and where() from any thread.
class ControlChannel {
 public:
  /// Why this rank ends.
  struct Cause {
    int code;
    std::string text;
    CauseKind kind = CauseKind::own;
    int culprit = -1;                // the rank that it names; -1: itself
    std::string culprit_where = {};  // what that one did, as the text has it; empty: it does not say
  };
  struct Options {
    ControlAddress hub;
    int rank, local_rank = 0;  // local_rank 0 leads its node
    std::string host = host_name();
    std::int64_t process = own_process_number();
    /// "Leave now", or nobody is left to say so. From the channel's thread, at most once: the rank's own may hang.
    std::function<void(const Cause& why)> on_leave;
    /// A stop is wanted; kind: which signal asked for it. From the channel's thread.
    std::function<void(int kind)> on_stop;
    std::chrono::milliseconds silence{60000};                   // a hub that says nothing for so long is gone
    std::string hub_name = "the process that watches the run";  // for words on its end
    std::chrono::milliseconds welcome_within{0};                // while it says something: a leader may be late; 0: as to connect
    /// Asked while it does not answer: its process is known to have ended.
    std::function<bool()> is_hub_gone = {};
  };
  /// Returns when the hub has welcomed this rank. A connection that ends before (strangers may crowd a rank out that has not spoken yet) is
  /// made again while there is time. Throws CommError when the hub does not answer within `limit`, refuses this rank, or, is_late, has
  /// answered and then says nothing; HubGone when it has ended.
  explicit ControlChannel(Options options, std::chrono::milliseconds limit = std::chrono::seconds(30));
  ~ControlChannel();
  ControlChannel(const ControlChannel&) = delete;
  ControlChannel& operator=(const ControlChannel&) = delete;

  /// From now on the rank's place is read there. The object outlives the channel or is replaced before it goes.
  void follow(const Presence* presence) { presence_ = presence; }
  /// From now on a hub may say nothing for so long.
  void allow_silence(std::chrono::milliseconds limit) { silence_ = limit; }
  /// Returns when it is on its way, or after half a second.
  void tell(const Cause& cause);
  /// Its work is done; what is left is to end MPI, in which a launcher that hangs may hold it.
  void done(int code);
  /// It ends as it should. Nobody is told to leave because this connection ends.
  void bye(int code);
  /// Asks the hub; empty when it does not answer within `limit`.
  std::optional<Whereabouts> where(int rank, std::chrono::milliseconds limit = std::chrono::milliseconds(500));

 private:
  static constexpr std::chrono::milliseconds kSendWithin{500};
  void run();
  void turn();
  void connect(std::chrono::milliseconds limit);
  bool comes_again();
  [[noreturn]] void throw_not_welcome() const;
  void greet();
  void say_where();
  void send_outbox();
  void hear(const ControlMessage& message);
  bool is_silent(std::chrono::milliseconds limit);
  std::chrono::milliseconds until_next_turn() const;
  void witness_leader();
  void lose_hub(const std::string& why, bool is_silence = false);
  void order_to_leave(const Cause& why);
  void post(ControlMessage message);

  Options options_;
  std::atomic<std::chrono::milliseconds> silence_;
  std::atomic<const Presence*> presence_{nullptr};
  MemoryKills kills_;  // of this node's processes: a rank that the kernel has killed cannot say so itself
  Descriptor wake_;    // eventfd: the outbox is not empty, or it is over
  std::optional<ControlConnection> hub_;
  std::optional<Neighbours> neighbours_;  // of who leads its node
  std::optional<Departed> leader_;        // that we go through
  std::chrono::steady_clock::time_point heard_, said_, over_at_, turned_;
  std::chrono::steady_clock::time_point welcome_until_;
  int came_again_ = 0;
  bool ordered_ = false;  // to leave

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<ControlMessage> outbox_;
  bool is_welcome_ = false, is_over_ = false, said_bye_ = false, hub_lost_ = false, hub_silent_ = false, is_refused_ = false;
  std::optional<ControlMessage> answer_;
  std::thread thread_;
};

}  // namespace chorale
