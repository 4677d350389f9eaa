// The hub in the first rank's process, on a thread of its own, where the user started mpirun or srun: when a rank falls, falls silent or
// does not come, all others leave. Nothing is started again.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <chorale/comm/control/address.hpp>
#include <chorale/comm/control/hub.hpp>
#include <chorale/core/base/memory_kills.hpp>
#include <chorale/launcher/supervisor/silence.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

class HostedHub {
 public:
  struct Options {
    int ranks;
    bool is_on_one_node;                 // then nobody else can reach it
    std::chrono::milliseconds deadline;  // for a rank to come, and to say something
    /// Asked of a rank that has not come by then, from the hub's thread: it runs, and cannot reach us.
    std::function<bool(int rank)> is_unreachable;
  };
  explicit HostedHub(Options options);
  ~HostedHub();
  HostedHub(const HostedHub&) = delete;
  HostedHub& operator=(const HostedHub&) = delete;
  ControlAddress address() const;
  bool is_on_one_node() const { return options_.is_on_one_node; }
  /// All ranks have been told to leave.
  bool has_told() const { return has_told_; }
  /// What all ranks have told so far, which have gone without a word, and which is not heard of. Any thread.
  std::vector<RankEnd> ends() const;

 private:
  void run();
  void look_for_the_unheard();
  std::optional<Silence> absent_rank();
  void note_ends();
  Options options_;
  ControlHub hub_;
  SilenceWatch silence_;
  std::set<int> unreachable_;
  std::optional<Silence> unheard_;
  std::atomic<bool> over_{false}, has_told_{false};
  MemoryKills kills_;
  mutable std::mutex mutex_;
  std::vector<RankEnd> ends_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace chorale
