// A rank's side of the control channel in the program: it leaves when it is told to, even where its own thread hangs.
#pragma once
#include <memory>
#include <mutex>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/job_board.hpp>
#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/supervisor/hosted_hub.hpp>

namespace chorale {

class RankControl {
 public:
  /// The supervisor's hub, from CHORALE_CONTROL and CHORALE_SECRET; where the user started mpirun or srun, one in the first rank's process,
  /// which all hear of through PMIx. Null where there is neither: then only waits for peers find out what happens to them. Throws CommError
  /// when the supervisor does not answer.
  static std::unique_ptr<RankControl> open(const Surroundings& around, LastWord* last = nullptr);
  RankControl(ControlAddress hub, int rank, int local_rank);
  /// From now until release(), an order to leave aborts this communicator first, so that the rank's own thread can end in order.
  void guard(Communicator& comm);
  void release();
  ControlChannel& channel() { return *channel_; }
  /// What this process knows of ranks that have ended: all of it in the first rank's where no supervisor watches, nothing elsewhere.
  std::vector<RankEnd> ends() const { return hub_ ? hub_->ends() : std::vector<RankEnd>{}; }

 private:
  void leave(const ControlChannel::Cause& why);
  int rank_;
  LastWord* last_ = nullptr;  // where no supervisor writes the verdict
  std::unique_ptr<JobBoard> board_;
  std::unique_ptr<HostedHub> hub_;  // the first rank's, where nobody else watches
  std::mutex mutex_;
  Communicator* comm_ = nullptr;
  Presence last_place_;  // once the communicator has gone
  std::unique_ptr<ControlChannel> channel_;
};

}  // namespace chorale
