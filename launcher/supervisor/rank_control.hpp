// A rank's side of the control channel in the program: it leaves when it is told to, even where its own thread hangs.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/spawn/end_words.hpp>
#include <chorale/launcher/supervisor/hosted_hub.hpp>

namespace chorale {

class RankControl {
 public:
  /// The supervisor's hub, from CHORALE_CONTROL and CHORALE_SECRET; where the user started mpirun or srun, one in the first rank's process,
  /// which all hear of through PMIx. Null where there is neither: then only waits for peers find out what happens to them. Throws CommError
  /// when the supervisor, or the first rank, does not answer.
  static std::unique_ptr<RankControl> open(const Surroundings& around, const Watching& watching);
  struct Options {
    ControlAddress hub;
    int rank, local_rank;
    bool is_hub_in_first = false;        // in the first rank's process: nobody else watches
    std::chrono::milliseconds deadline;  // for that one to say something
    LastWord* last = nullptr;            // who writes the verdict there
  };
  explicit RankControl(const Options& options);
  /// From now until release(), an order to leave aborts this communicator first, so that the rank's own thread can end in order.
  void guard(Communicator& comm);
  void release();
  ControlChannel& channel() { return *channel_; }
  /// What this process knows of ranks that have ended: all of it in the first rank's where no supervisor watches, and elsewhere that the
  /// first one is not heard of any more.
  std::vector<RankEnd> ends() const;
  /// The rank's own thread says why the run ends, and ends the process: the channel's leaves that to it from now on.
  void speak_for_itself() { speaks_ = true; }
  /// Why the run ends, as the one who watches has told all; empty when it has told nothing within `limit`. Where that one is in this
  /// process: once all have been told, since it ends with this process.
  std::optional<ToldVerdict> told(std::chrono::milliseconds limit);

 private:
  static std::unique_ptr<RankControl> host(const Surroundings& around, const Watching& watching, std::unique_ptr<JobBoard> board);
  static std::unique_ptr<RankControl> join(const Surroundings& around, const Watching& watching, std::unique_ptr<JobBoard> board);
  void leave(const ControlChannel::Cause& why);
  void say_last(const RankEnd& mine, const ControlChannel::Cause& why);
  void note(const ControlChannel::Cause& why);
  RankEnd own_end(const ControlChannel::Cause& why);
  Options options_;
  std::unique_ptr<JobBoard> board_;
  std::unique_ptr<HostedHub> hub_;  // the first rank's, where nobody else watches
  std::atomic<bool> speaks_{false};
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable told_;
  std::optional<ToldVerdict> verdict_;
  std::optional<RankEnd> first_;  // is not heard of
  Communicator* comm_ = nullptr;
  Presence last_place_;  // before the communicator is there, and once it has gone
  std::unique_ptr<ControlChannel> channel_;
};

}  // namespace chorale
