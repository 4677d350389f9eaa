// When checkpoints are due: by steps and epochs, which every rank counts alike, or by rank 0's clock, which the others follow.
#pragma once
#include <cstdint>

#include <chorale/train/settings.hpp>

namespace chorale {

/// Seconds between two checkpoints that lose least, when one costs `cost_s` and failures come every `mtbf_s` in the mean.
/// Source: Daly, Future Generation Computer Systems 22 (2006), equation 37; its first term is Young's, CACM 17 (1974).
double best_interval_s(double cost_s, double mtbf_s);

/// A pure state machine; times are seconds of any clock that only goes forward.
class SaveSchedule {
 public:
  /// Throws UsageError for settings that would be passed over in silence.
  SaveSchedule(const CheckpointOptions& options, std::int64_t steps_per_epoch, double now_s);
  /// After that step, on every rank: it is a multiple, or rank 0 has asked for it.
  bool is_due(std::int64_t step) const;
  /// Rank 0: the clock says that one is due; until asked() is told.
  bool is_wanted(double now_s) const;
  /// All ranks have heard rank 0, in step `step`: a checkpoint comes after the next one, which thereby is known before it begins.
  void asked(std::int64_t step) { asked_ = step + 1, is_asked_ = true; }
  /// One was begun.
  void begun(double now_s) { begun_s_ = now_s, is_open_ = true, is_asked_ = false; }
  /// It was written or not; the next may be wanted. What it cost training, in seconds.
  void ended(double cost_s);
  /// Seconds between two by the clock; 0: it does not decide.
  double interval_s() const { return interval_s_; }
  /// What auto reckons with, in seconds; below 0: nothing has been saved yet.
  double cost_s() const { return cost_s_; }
  /// True once after auto has found its first interval, and after it has come to a quite different one.
  bool has_news();

 private:
  CheckpointOptions options_;
  std::int64_t per_epoch_, asked_ = -1;
  double begun_s_, interval_s_ = 0, cost_s_ = -1, told_s_ = 0;
  bool is_open_ = false, is_asked_ = false;
};

}  // namespace chorale
