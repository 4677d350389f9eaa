// One checkpoint at a time, written by all ranks while they train. At a step boundary a snapshot begins; each rank writes its share of it
// in a thread that makes no call of the communicator; when nobody writes any more, all ranks meet at a step boundary, and rank 0 commits.
#pragma once
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_writer.hpp>
#include <chorale/train/snapshot.hpp>

namespace chorale {

/// What became of a save, equal on all ranks but for the time.
struct SaveOutcome {
  std::int64_t step = 0;
  std::string folder;
  ExitCode code = ExitCode::done;
  std::string error;    // why there is no checkpoint of the step; the ones before are as they were
  std::string warning;  // there is one, but older ones could not be removed
  double write_ms = 0;  // from the step boundary until all ranks know
  std::uint64_t bytes = 0;
};

/// The thread that trains calls; where it says collective, all ranks do, at the same step.
class BackgroundSave {
 public:
  struct Setup {
    Communicator& comm;
    Snapshot& snapshot;            // whoever overwrites what is saved has the same one
    std::filesystem::path folder;  // RUN/checkpoints
    Retention retention = {};
    std::vector<std::pair<std::string, std::string>> texts = {};  // small files that every checkpoint carries
    std::function<void()> still_ours = {};                        // of CheckpointWriter, on rank 0
    std::function<void(SavePoint)> at = {};
  };
  /// Collective.
  explicit BackgroundSave(Setup setup);
  /// Waits for this rank's thread, which gives up at its next piece.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  /// Collective: memory for a copy of the files. Returns the bytes of each rank, or 0: start() then returns when the files are written.
  std::uint64_t reserve(const SaveFiles& largest, std::span<const LiveMemory> live) {
    return setup_.snapshot.reserve(setup_.comm, largest, live);
  }
  /// Collective. Afterwards `live` may be overwritten by whoever tells the snapshot first. gather: where that cannot be had, brings to
  /// every node what is held in parts. Returns whether it was called.
  bool start(Manifest manifest, SaveFiles files, std::vector<LiveMemory> live, const std::function<void()>& gather);
  bool is_pending() const { return phase_ != Phase::idle; }
  /// This rank works on the save that is pending.
  bool is_writing() const;
  /// Collective, while one is pending and no rank is_writing(): goes on to the next phase. What became of the save, when it is over.
  std::optional<SaveOutcome> advance();
  /// Collective, while one is pending: until it is over, however long the disk takes.
  SaveOutcome wait();

 private:
  enum class Phase { idle, parts, commit };
  /// How a thread of ours ended: its words for the others, or its error.
  struct Result {
    ExitCode code = ExitCode::done;
    std::string text;
  };
  void pass(SavePoint point) const {
    if (setup_.at) setup_.at(point);
  }
  void run(std::function<std::string()> work);
  Result take_result();
  std::string write_parts();
  std::string commit(const std::vector<Result>& parts);
  void remove_own_leftovers() const;
  std::optional<SaveOutcome> end_of_parts();
  SaveOutcome end_of_commit();
  SaveOutcome finished(const Result& result);
  void wait_for_writing();

  Setup setup_;
  std::string token_;
  std::int64_t saves_ = 0;
  bool is_guarded_ = false;  // the snapshot is
  Phase phase_ = Phase::idle;
  Manifest manifest_;
  SaveFiles files_;
  std::unique_ptr<CheckpointWriter> writer_;
  std::stop_source stop_;
  std::chrono::steady_clock::time_point began_;
  std::future<Result> task_;  // last: its destructor waits for the thread
};

}  // namespace chorale
