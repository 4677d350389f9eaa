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
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/run_owner.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// One a process; any thread.
class LastWord {
 public:
  /// These ranks are about to train in `run`. What fails before they begin is a line of its own there, as RunDirectory::append_verdict has
  /// it; before this call nothing is written.
  void expect(const std::filesystem::path& run);
  /// Which folder rank 0 means, whose default holds the time, and its process: rank 0 says it, the others hear it.
  std::string introduction() const;
  void meet_first(const std::string& introduction);
  /// This may be rank 0's process, which may have died before it is introduced: how it ends is seen from now on. 0: not known.
  void await_first(std::int64_t process);
  /// The attempt has begun, its start is in events.jsonl of `run`; `first` is rank 0's process.
  void begin(const std::filesystem::path& run, int attempt, const RunOwner& first);
  /// What this process does when it has said all: gives the run directory back.
  void at_close(std::function<void()> close) { close_ = std::move(close); }
  /// This process is about to leave, and why; heard: what it knows of the others' ends. Rank 0 writes, after a moment in which news of the
  /// cause may come, unless that is its own. Another rank waits for that line, and writes one itself when rank 0 is known to have died or
  /// nothing has come 0.6 s later: mpirun kills 1 s after the first death. Returns what it has written; empty: nothing. Never throws.
  std::optional<Verdict> settle(const RankEnd& mine, const std::function<std::vector<RankEnd>()>& heard) noexcept;
  /// Rank 0's process is known to have died: it was introduced, and was on this machine.
  bool first_has_died() const;
  /// There is a verdict's line of this start.
  bool is_said() const noexcept;
  /// That line, whoever has written it; nothing where there is none, or it cannot be read.
  std::optional<Verdict> recorded() const noexcept;
  bool has_begun() const {
    const std::lock_guard lock(mutex_);
    return attempt_ != 0;
  }
  std::filesystem::path run() const {
    const std::lock_guard lock(mutex_);
    return run_;
  }
  /// Writes this verdict, unless there is one or another attempt has the run directory. Never throws.
  bool say(Verdict verdict) noexcept;
  void close() {
    if (close_) close_();
  }

 private:
  std::vector<RankEnd> with_own(const RankEnd& mine, std::vector<RankEnd> ends);
  bool write(Verdict& verdict) const;
  bool is_written() const;
  void watch_first(const RunOwner& first);
  std::optional<RankEnd> end_of_first();
  std::function<void()> close_;
  mutable std::mutex mutex_;   // guards what follows
  std::filesystem::path run_;  // empty: none is expected
  RunDirectory::Seen before_;  // in it
  int attempt_ = 0;            // 0: it has not begun
  std::optional<RunOwner> first_;
  std::optional<ProcessEnd> first_process_;  // where it is on this machine
  std::int64_t awaited_ = 0;                 // its process, before it was introduced
  MemoryKills kills_;
};

}  // namespace chorale
