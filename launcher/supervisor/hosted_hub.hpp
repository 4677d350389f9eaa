// The hub in the first rank's process, on a thread of its own, where the user started mpirun or srun: when a rank falls, all others leave.
// Nothing is started again.
#pragma once
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <chorale/comm/control/hub.hpp>
#include <chorale/core/base/memory_kills.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

class HostedHub {
 public:
  explicit HostedHub(int ranks);
  ~HostedHub();
  HostedHub(const HostedHub&) = delete;
  HostedHub& operator=(const HostedHub&) = delete;
  /// "host:port secret"
  std::string word() const { return host_name() + ":" + std::to_string(hub_.port()) + " " + hub_.secret(); }
  /// What all ranks have told so far, and which have gone without a word. Any thread.
  std::vector<RankEnd> ends() const;

 private:
  void run();
  void note_ends();
  ControlHub hub_;
  std::atomic<bool> over_{false};
  MemoryKills kills_;
  mutable std::mutex mutex_;
  std::vector<RankEnd> ends_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace chorale
