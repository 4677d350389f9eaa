// What a rank that has died logged last.
#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace chorale {

/// Lines of a rank's log, logs/rank_N.jsonl, for the terminal.
class LastLines {
 public:
  /// The last three different texts since `since` (as utc_now() writes it) that have not been given before, oldest first; equal ones are
  /// folded with their number, control characters are shown as text, long ones cut. known: what has been said already.
  std::vector<std::string> of(const std::filesystem::path& log, const std::string& since, const std::string& known = {});

 private:
  std::set<std::string> given_;
};

}  // namespace chorale
