// A run's folder: made only when the run is ready to start, never deleted before the new one has started.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <chorale/launcher/run_lock.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

class RunDirectory {
 public:
  struct Options {
    std::string path;  // empty: runs/NAME-DATE-TIME
    std::string name;  // of the recipe
    bool resume = false, overwrite = false;
    bool may_overwrite = true;  // the command has --overwrite
  };
  /// Throws UsageError when the folder exists and neither resume nor overwrite is given, or when overwrite would replace what is no run.
  /// Touches nothing.
  explicit RunDirectory(const Options& options);
  const std::filesystem::path& path() const { return path_; }
  /// Rank 0, before anything of an existing run is read: it must be no other attempt's. `deadline_s` is that of our waits, `say` hears why
  /// this takes long. Throws OwnedError.
  void claim(double deadline_s, const std::function<void(const std::string&)>& say);
  /// Makes the folder; with overwrite the old one is moved aside first, removed when the new one stands and put back when that fails.
  /// Removes what unfinished checkpoints have left and writes the attempt's start to events.jsonl, before it the end of an attempt that has
  /// none. Throws IoError, OwnedError.
  void start(const std::string& recipe_text);
  /// A job of this number will train here, as a line of events.jsonl; the folder exists.
  void submitted(const std::string& job) const;
  int attempt() const { return attempt_; }
  /// How the attempt ended, as a line of events.jsonl that is synced before this returns; nothing where it has one. Throws IoError.
  void end(const Verdict& verdict) const;
  /// The same by whoever of the attempt's ranks comes first, of any process and node. False: it has such a line already.
  static bool end_once(const std::filesystem::path& run, int attempt, const Verdict& verdict);
  static bool has_ended(const std::filesystem::path& run, int attempt);
  /// What is there before an attempt is started from outside.
  struct Seen {
    std::uint64_t folder = 0;  // its folder_number()
    std::string lock = {};     // whose nonce; empty: nobody's
    int attempt = 0;           // the last one
    bool has_ended = false;
    std::string watcher = {};  // of that one
  };
  static Seen look(const std::filesystem::path& run);
  /// In the file system, another one once the folder is overwritten; 0: there is none.
  static std::uint64_t folder_number(const std::filesystem::path& run);
  /// Of what was seen before, the last attempt that `folder`, the number of now, may still hold: none where it is another one.
  static int attempts_before(const Seen& before, std::uint64_t folder) { return before.folder == folder ? before.attempt : 0; }
  /// How an attempt with a number above `after` has ended, if its line is the last one.
  static std::optional<Verdict> recorded_end(const std::filesystem::path& run, int after);
  /// end() by who is not rank 0: the supervisor when the attempt's ranks have gone, or one of the ranks of a user's mpirun when the attempt
  /// has not come so far as to begin. watcher: own_watcher() of those ranks. before: from when they were started. Where nothing has been
  /// written yet, only a verdict is that lets the run be started again; nothing of an attempt that has not come so far as to own the
  /// folder, and nothing where another process of this start has done it: false. Throws OwnedError, having written nothing, when another
  /// attempt has taken the folder meanwhile: the supervisor had been stopped, or cut off. IoError.
  static bool append_verdict(const std::filesystem::path& run, const Verdict& verdict, const std::string& watcher, const Seen& before);
  /// Rank 0, when nothing writes any more: others may take the folder.
  void release() { lock_.reset(); }
  /// From any thread: throws OwnedError when another attempt has taken the folder.
  void must_be_ours() const;

 private:
  /// old: what this folder replaces.
  void fill(const std::string& recipe_text, const std::filesystem::path& old);
  /// The end of the last attempt, where nobody was left to write it.
  static void close_last(const std::filesystem::path& run);
  static void event(const std::filesystem::path& run, int attempt, const std::string& name, const Verdict& verdict, bool has_ended,
                    const std::string& job, const std::string& watcher = {});
  std::filesystem::path path_;
  Options options_;
  int attempt_ = 1;
  double deadline_s_ = 60;
  std::function<void(const std::string&)> say_ = [](const std::string&) {};
  std::unique_ptr<RunLock> lock_;
};

}  // namespace chorale
