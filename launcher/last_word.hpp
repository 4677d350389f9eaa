// The verdict of a run whose ranks the user's own mpirun or srun started, where no supervisor writes it. Rank 0 does, from what all ranks
// have told it; where it has died, hangs or is cut off, one of the others. Exactly one line an attempt, synced before its writer leaves.
#pragma once
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <chorale/core/base/memory_kills.hpp>
#include <chorale/core/base/process_end.hpp>
#include <chorale/launcher/run_owner.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// What a rank says before a verdict that was rank 0's to write.
inline constexpr const char* kInPlaceOfRank0 = "the verdict in place of rank 0: ";

/// One a process; any thread.
class LastWord {
 public:
  /// The attempt has begun, or is about to in a run that goes on; `first` is rank 0's process. Before this nothing is written.
  void begin(const std::filesystem::path& run, int attempt, const RunOwner& first);
  /// What this process does when it has said all: gives the run directory back.
  void at_close(std::function<void()> close) { close_ = std::move(close); }
  /// This process is about to leave, and why; heard: what it knows of the others' ends. Rank 0 writes, after a moment in which news of the
  /// cause may come, unless that is its own. Another rank waits for that line, and writes one itself when rank 0 is known to have died or
  /// nothing has come 0.6 s later: mpirun kills 1 s after the first death. Returns what it has written; empty: nothing. Never throws.
  std::optional<Verdict> settle(const RankEnd& mine, const std::function<std::vector<RankEnd>()>& heard) noexcept;
  /// Writes this verdict, unless there is one or another attempt has the run directory. Never throws.
  bool say(Verdict verdict) noexcept;
  void close() {
    if (close_) close_();
  }

 private:
  std::vector<RankEnd> with_own(const RankEnd& mine, std::vector<RankEnd> ends);
  bool write(Verdict& verdict) const;
  std::optional<RankEnd> end_of_first();
  std::function<void()> close_;
  mutable std::mutex mutex_;  // guards what follows
  std::filesystem::path run_;
  int attempt_ = 0;  // 0: it has not begun
  std::optional<RunOwner> first_;
  std::optional<ProcessEnd> first_process_;  // where it is on this machine
  MemoryKills kills_;
};

}  // namespace chorale
