// A rank's side of the control channel in the program: it leaves when it is told to, even where its own thread hangs.
#pragma once
#include <memory>
#include <mutex>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/control/channel.hpp>

namespace chorale {

class RankControl {
 public:
  /// From CHORALE_CONTROL and CHORALE_SECRET; null where nobody watches this run. Throws CommError when the hub does not answer.
  static std::unique_ptr<RankControl> from_environment(int rank, int local_rank);
  RankControl(ControlAddress hub, int rank, int local_rank);
  /// From now until release(), an order to leave aborts this communicator first, so that the rank's own thread can end in order.
  void guard(Communicator& comm);
  void release();
  ControlChannel& channel() { return *channel_; }

 private:
  void leave(int code, const std::string& cause);
  std::mutex mutex_;
  Communicator* comm_ = nullptr;
  std::unique_ptr<ControlChannel> channel_;
};

}  // namespace chorale
