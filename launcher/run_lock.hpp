// Who may write into a run directory: the attempt that RUN/lock names. Ranks of a lost attempt that come back find another name there.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <chorale/launcher/run_owner.hpp>

namespace chorale {

/// Held by the process of rank 0. must_be_ours() may be called from any thread, the rest from one.
class RunLock {
 public:
  /// Takes the lock of an existing folder. A lock of another attempt is stale when its process is gone (same machine), when Slurm says that
  /// it is over and both are of one cluster, or when its heartbeat has not changed for three of its deadlines by our own clock (for one,
  /// where its cluster is ours and knows no such job any more), which is waited for after `say` was told; never by a file's time. Throws
  /// OwnedError when it is alive, IoError.
  RunLock(std::filesystem::path folder, const RunOwner& mine, const std::function<void(const std::string&)>& say);
  struct Look {
    const std::filesystem::path& folder;
    const RunOwner& mine;
    const std::function<void(const std::string&)>& say;
  };
  /// The same without taking it, for who is not to train there himself. Throws OwnedError.
  static void must_be_free(const Look& look);
  /// Whose the folder is; nothing: nobody's.
  static std::optional<RunOwner> holder(const std::filesystem::path& folder);
  /// Gives back what an attempt that `watcher` had started has left: where its process is gone, of this machine. Of all others nothing is
  /// touched. Never throws.
  static void release_of(const std::filesystem::path& folder, const std::string& watcher) noexcept;
  /// Gives it back, if it is still ours.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  /// Reads the file again. Throws OwnedError when it names another attempt.
  void must_be_ours() const;

 private:
  std::filesystem::path file() const { return folder_ / "lock"; }
  std::filesystem::path beat_file(const std::string& nonce) const { return beat_file(folder_, nonce); }
  static std::filesystem::path beat_file(const std::filesystem::path& folder, const std::string& nonce) {
    return folder / ("lock.beat." + nonce);
  }
  bool link_new(const std::filesystem::path& draft) const;
  void take_over(const std::filesystem::path& draft, const RunOwner& holder) const;
  static bool is_over(const Look& look, const RunOwner& holder);
  static bool heart_has_stopped(const std::filesystem::path& folder, const RunOwner& holder, double wait_s);
  void beat(const std::stop_token& stop) const;
  void remove_other_beats() const;
  std::filesystem::path folder_;
  RunOwner mine_;
  std::jthread heart_;
};

}  // namespace chorale
