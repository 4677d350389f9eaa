// What a task's guard does, for people: the first closing of a peer in full, everything after it folded into one line at the end.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/train/collab/guard.hpp>

namespace chorale {

/// One thread, on the rank that speaks for the task.
class GuardNews {
 public:
  struct Source {
    std::string peer, kind;  // whose rows, and of which entities
  };
  /// task: its name. sources: in the guard's order. log outlives it.
  GuardNews(Log& log, std::string task, std::vector<Source> sources);
  void hear(const GuardEvent& event);
  /// Of each peer that was tried again since the last start: how often, and whether it is heard now. Once, when the run is over.
  void end();

 private:
  struct Count {
    std::int64_t closings = 0, trials = 0, last = 0;  // validation of the last event
    bool is_open = true;
  };
  Log& log_;
  std::string task_;
  std::vector<Source> sources_;
  std::vector<Count> counts_;
};

}  // namespace chorale
