// Runs a training until it is done: starts it again from its newest checkpoint where that may help, and stops where it would not.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <chorale/launcher/supervisor/attempt.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>

namespace chorale {

class Supervisor {
 public:
  struct Order {
    RankPlan plan;
    std::vector<Host> hosts;  // empty: no choice of them
    int min_ranks = 0;        // with how many to go on where hosts do not answer; 0: only with all
    std::vector<std::string> words;
    std::chrono::milliseconds silence;
    std::filesystem::path run;  // its directory
    int restarts = 3;           // beyond the first start
  };
  explicit Supervisor(Order order) : order_(std::move(order)) {}
  /// The run's exit code. Failures are a line of events.jsonl each, and one on the terminal.
  int run();

 private:
  RankPlan next_plan() const;
  void drop_faults();
  bool goes_on(const AttemptEnd& end);
  void record(const AttemptEnd& end) const;
  void say(const std::string& text) const;
  void print_last_words(int rank) const;
  std::string newest_checkpoint() const;
  void wait_before_next();

  Order order_;
  int restarts_ = 0;                 // so far
  int without_progress_ = 0;         // starts in a row
  std::string started_;              // time of day
  std::string checkpoint_;           // newest, when the last attempt ended
  std::map<std::string, int> same_;  // ends with one cause at one step since the newest checkpoint
};

}  // namespace chorale
