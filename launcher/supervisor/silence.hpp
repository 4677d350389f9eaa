// Ranks that say nothing any more: when that is a verdict, and in which words. For who watches a run.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/control/hub.hpp>

namespace chorale {

/// The verdict on one rank.
struct Silence {
  int rank = -1;
  std::string cause;  // "rank 1 (node b, process 4711) has said nothing for 2.6 s, its process is stopped (SIGSTOP), last seen in ..."
  std::string where;
};

/// By SIGSTOP; of a process on this host.
bool is_stopped(std::int64_t process);
bool is_stopped(const RankStatus& rank);
/// What is said behind a rank whose process is stopped; empty behind another one.
std::string stopped_text(bool is_stopped);
/// The process of that rank of our job on this host, as PMIx numbers ranks; 0: it is not here, or not ours to look at.
std::int64_t process_of_rank(int rank);
/// The same, where one launcher has started it and this process: quicker.
std::int64_t sibling_of_rank(int rank);
/// Ranks that are stopped, of those that this launcher has started on this host.
std::vector<int> stopped_ranks_of(std::int64_t launcher);

Silence silence_of(const ControlHub& hub, int rank);
/// Of a rank that has never come.
Silence absence_of(int rank, std::chrono::duration<double> waited);

/// One thread.
class SilenceWatch {
 public:
  /// deadline: how long a rank may say nothing. Where its peers wait for it they say so themselves at their own deadline, and know more:
  /// of such a rank the verdict comes later, unless its process is seen to be stopped.
  explicit SilenceWatch(std::chrono::milliseconds deadline) : deadline_(deadline) {}
  /// The first rank that is here and has been silent for too long; asked often. When we were stopped ourselves, or the machine was, all
  /// have been silent: they get a moment to speak.
  std::optional<Silence> look(const ControlHub& hub);
  /// Time that has passed while we were awake.
  std::chrono::milliseconds awake() const { return std::chrono::duration_cast<std::chrono::milliseconds>(awake_); }

 private:
  using Clock = std::chrono::steady_clock;
  std::chrono::milliseconds deadline_;
  Clock::time_point looked_{}, trusts_from_{};
  Clock::duration awake_{0};
};

}  // namespace chorale
