// One start of all ranks by mpirun or srun, watched over the control channel until the last of them has gone. Never waits for a launcher
// without a limit: what ended, and why, it says from its own knowledge.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/control/hub.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/core/base/private_folder.hpp>
#include <chorale/launcher/supervisor/silence.hpp>
#include <chorale/launcher/verdict.hpp>
#include <chorale/core/base/memory_kills.hpp>
#include <chorale/train/stop.hpp>

namespace chorale {

/// How an attempt ended. cause: one line, with the rank; empty: it ended as it should.
struct AttemptEnd : Verdict {
  bool asked = false;  // this process had been asked to stop
};

class Attempt {
 public:
  struct Order {
    RankPlan plan;
    std::vector<std::string> words;      // of this program
    std::chrono::milliseconds deadline;  // a rank that says nothing for so long, and somewhat longer, is lost
    int restart = 0;                     // how often the run has been started again before
    std::string watcher = {};            // what the lock says of who watches; empty: nobody reads it
  };
  explicit Attempt(Order order);
  AttemptEnd run();

 private:
  using Clock = std::chrono::steady_clock;
  void start();
  bool watch();  // false: it is over
  void pass_on_stop();
  void look_for_trouble();
  std::optional<AttemptEnd> verdict() const;
  AttemptEnd orderly_end() const;
  bool launcher_has_ended();
  void end_launcher();
  void wait_for_the_killed() const;
  int silent_before_trouble() const;
  void keep_silent_rank();
  void blame(const Silence& silence);
  std::int64_t furthest_step() const;

  Order order_;
  PrivateFolder folder_;
  ControlHub hub_;
  SilenceWatch silence_;
  MemoryKills kills_;
  pid_t child_ = -1;
  std::optional<int> launcher_status_;  // as waitpid gives it; none: it runs
  Stop stop_passed_ = Stop::none;
  Clock::time_point began_, stop_at_, trouble_at_, ordered_at_, empty_at_, launcher_ended_at_;  // zero: not yet
  std::string trouble_;                                                                         // found by looking, not told by a rank
  std::string trouble_where_;
  int troubled_rank_ = -1;  // by its silence
  int silent_ = -1;         // when ranks were told to leave
};

}  // namespace chorale
