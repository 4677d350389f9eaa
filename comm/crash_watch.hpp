// A rank that dies by a signal of its own (SIGSEGV, SIGABRT, SIGILL, its limit of processor time ...) leaves its flight record and the
// frames of all threads first.
#pragma once
#include <memory>

#include <chorale/comm/rank_watch.hpp>

namespace chorale {

/// While one of these lives, on the rank's own thread; several ranks of a process have one each. After MPI's start, which sets handlers
/// too.
class CrashWatch {
 public:
  explicit CrashWatch(RankWatch& watch);
  ~CrashWatch();
  CrashWatch(const CrashWatch&) = delete;
  CrashWatch& operator=(const CrashWatch&) = delete;

 private:
  RankWatch* watch_;
  std::unique_ptr<char[]> stack_;  // the handler's own: the thread's may be what has overflowed
};

}  // namespace chorale
