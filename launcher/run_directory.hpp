// A run's folder: made only when the run is ready to start, never deleted before the new one has started.
#pragma once
#include <filesystem>
#include <string>

namespace chorale {

class RunDirectory {
 public:
  struct Options {
    std::string path;  // empty: runs/NAME-DATE-TIME
    std::string name;  // of the recipe
    bool resume = false, overwrite = false;
  };
  /// Throws UsageError when the folder exists and neither resume nor overwrite is given. Touches nothing.
  explicit RunDirectory(const Options& options);
  const std::filesystem::path& path() const { return path_; }
  std::string checkpoints() const { return (path_ / "checkpoints").string(); }
  /// Makes the folder; with overwrite the old one is moved aside first and removed when the new one stands. Throws IoError.
  void start(const std::string& recipe_text);
  /// One JSON object as a line of events.jsonl, synced before this returns.
  void event(const std::string& json) const;

 private:
  std::filesystem::path path_;
  Options options_;
};

}  // namespace chorale
