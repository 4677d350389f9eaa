// Runs a training until it is done: starts it again from its newest checkpoint where that may help, and stops where it would not.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/supervisor/attempt.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>
#include <chorale/launcher/supervisor/last_lines.hpp>
#include <chorale/launcher/supervisor/repeated_end.hpp>

namespace chorale {

class Supervisor {
 public:
  struct Order {
    RankPlan plan;
    std::vector<Host> hosts;  // empty: no choice of them
    int min_ranks = 0;        // with how many to go on where hosts do not answer; 0: only with all
    std::vector<std::string> words;
    std::chrono::milliseconds deadline;  // of watchdog.seconds
    std::filesystem::path run;           // its directory
    int restarts = 3;                    // beyond the first start
  };
  explicit Supervisor(Order order);
  /// The run's exit code. Failures are a line of events.jsonl each, and one on the terminal.
  int run();

 private:
  AttemptEnd attempt();
  RankPlan next_plan() const;
  void note_progress();
  bool goes_on(const AttemptEnd& end);
  /// Writes the verdict; where the ranks have written another one before they left, that is it.
  void record(AttemptEnd& end, const RunDirectory::Seen& before) const;
  void say(const std::string& text) const;
  void print_last_words(const Verdict& end, const std::string& since);
  /// The run that --overwrite names is still there: no attempt has come so far as to replace it.
  bool has_old_run() const;
  void prepare_next_words();
  std::string newest_checkpoint() const;
  std::chrono::seconds next_wait();

  Order order_;
  RunDirectory::Seen first_;  // before the first attempt
  std::string watcher_;       // this process, in locks and starts of its attempts
  int restarts_ = 0;          // so far
  int without_progress_ = 0;  // starts in a row
  std::string checkpoint_;    // newest, when the last attempt ended
  RepeatedEnd same_;          // since then
  LastLines last_lines_;
};

/// The words of a call without --inject of what has happened: the next attempt is to show that it is survived. Those that repeat stay.
std::vector<std::string> without_met_faults(const std::vector<std::string>& words);

}  // namespace chorale
