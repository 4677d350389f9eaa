// The hub in the first rank's process, on a thread of its own, where the user started mpirun or srun: when a rank falls, all others leave.
// Nothing is started again.
#pragma once
#include <atomic>
#include <string>
#include <thread>

#include <chorale/comm/control/hub.hpp>

namespace chorale {

class HostedHub {
 public:
  explicit HostedHub(int ranks);
  ~HostedHub();
  HostedHub(const HostedHub&) = delete;
  HostedHub& operator=(const HostedHub&) = delete;
  /// "host:port secret"
  std::string word() const { return host_name() + ":" + std::to_string(hub_.port()) + " " + hub_.secret(); }

 private:
  void run();
  ControlHub hub_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace chorale
