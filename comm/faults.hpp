// Faults that tests of failures ask for: `--inject kind@rank:step[!][:where]`. Compiled always, so that what is tested is what runs;
// without the flag a place costs the test of a pointer.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

struct Fault {
  enum class Kind : std::uint8_t { kill9, freeze, sleep, exit0, throws, abort, segv, full_disk, nan, bitflip, shape, mismatch };
  Kind kind = Kind::kill9;
  int rank = 0;
  std::int64_t step = 0;  // 0: before the first
  std::string where;      // empty: where the kind belongs by itself
  std::string text;       // as it was given
  bool repeats = false;   // STEP! : again after each restart by the supervisor
  bool met = false;
};

/// Throws UsageError that says how faults are written.
Fault parse_fault(const std::string& text);

/// Those of one rank. at() also from the thread that writes a checkpoint.
class Faults {
 public:
  /// over: of a rank that shares its process, which cannot be stopped alone: it stays frozen until this says true.
  Faults(const std::vector<std::string>& words, int rank, std::function<bool()> over = {});
  void begin_step(std::int64_t step) { step_.store(step, std::memory_order_relaxed); }
  /// The rank has come to this place: init, forward, backward, update, evaluate, save, save:POINT, restore, finalize, or a verb of the
  /// communicator; a checkpoint is written beside later steps, so save:POINT is met from the step on; all_reduce stands for every verb.
  /// Does what is asked for here: ends, stops, delays or throws std::runtime_error (throw) or IoError (full-disk).
  void at(std::string_view place) {
    if (!faults_.empty()) act(place);
  }
  /// For what only the caller can spoil (nan, bitflip, shape, mismatch): the fault that is due at this step, once; else null.
  const Fault* take(Fault::Kind kind, std::string_view place = {});
  /// Asked for and never met: as they were given.
  std::vector<std::string> unmet() const;

 private:
  void act(std::string_view place);
  bool is_due(Fault& fault, std::string_view place);
  void commit(Fault& fault);
  std::vector<Fault> faults_;
  std::function<bool()> over_;
  std::atomic<std::int64_t> step_{0};
  std::mutex mutex_;  // of met
};

}  // namespace chorale
