// Watches the ranks that a wait is held up by: do they get on, and where were they last?
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/membership.hpp>
#include <chorale/comm/rank_world.hpp>

namespace chorale {

/// One thread: the rank's that waits. Ranks are those of the whole world.
class Lookout {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Lookout(RankWorld& world) : world_(world) {}
  /// Room for this node's ranks, so that a look at them takes no memory. Once they are known.
  void prepare() { notes_.resize(static_cast<std::size_t>(world_.presences.count)); }

  /// Looks at whom `missing` really wait for: at each of them, or where one waits itself, at whom it waits for, to the end. True when one
  /// of those got on since the last look, in an activity that may take long or with a chunk of its own collective; a rank that only goes
  /// round and round does neither.
  bool gets_on(const std::vector<int>& missing);
  /// Is one of them in an activity that may take long? As of the last look.
  bool is_long() const { return is_long_; }
  /// Of ranks that are missing, all of one look.
  struct Finding {
    std::string text;   // "rank 5 (node b), last seen in forward of layer 'encoder.2', 61.0 s ago (step 17)", for up to four
    int cause = -1;     // whom the first of them waits for in the end
    std::string where;  // "forward of layer 'encoder.2' in step 17", of `cause`; empty: not known
  };
  Finding look(const std::vector<int>& missing);
  /// "forward of layer 'encoder.2' in step 17", as far as it is known.
  std::string where(int rank);

 private:
  int cause(int missing);
  struct Note {
    Sighting seen;
    Clock::time_point changed;       // zero: never looked at
    std::optional<Sighting> judged;  // of gets_on()
  };
  struct FarNote {
    std::optional<LastSeen> seen;
    Clock::time_point asked;
    std::optional<Sighting> judged;
  };
  std::optional<LastSeen> find(int rank);
  std::optional<LastSeen> find_far(int rank);
  std::string named(int rank) const;
  bool is_near(int rank) const { return rank >= world_.presences.first && rank < world_.presences.first + world_.presences.count; }
  Note& near(int rank);
  RankWorld& world_;
  std::vector<Note> notes_;     // of this node's ranks
  std::map<int, FarNote> far_;  // asking takes a moment
  bool is_long_ = false;
};

}  // namespace chorale
