// Where a rank is, for those who ask when it does not come. Its own thread writes in passing, any thread or process reads: a rank in a long
// forward, stopped or cut off makes no call that could say so. Lies in shared memory; zeroed bytes are a rank that starts.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace chorale {

enum class Activity : std::uint8_t {
  starting,
  connecting,  // MPI_Init and the first meeting
  reading,     // data
  forward,
  backward,
  communicating,
  updating,
  evaluating,
  saving,
  restoring,
  ending,
};
std::string_view name(Activity activity);
/// May take as long as it likes, so long as it gets on: who waits for a rank that is in one grants more time with each of its beats. The
/// others are parts of a step and end soon.
bool is_long(Activity activity);

/// What was seen of a rank at one moment. Plain bytes: travels between processes.
struct Sighting {
  Activity activity = Activity::starting;
  char what[64] = {};          // the layer, or the collective; empty: nothing nearer is known
  std::int64_t step = 0;       // 0: before the first
  std::uint64_t sequence = 0;  // of its last collective
  std::uint64_t beat = 0;      // changes whenever the rank gets on
  std::int32_t awaits = -1;    // while communicating: the rank of the whole world that it waits for; -1: nobody yet
  bool is_whole = false;       // else the writer was stopped inside a write, and the fields may be of two places
  /// "forward of layer 'encoder.2'", "all_reduce 'grad bucket 3' #4182".
  std::string place() const;
  /// The same, "in step 17".
  std::string text() const;
  /// Was the other one at the very same place, not there again?
  bool is_same_place(const Sighting& other) const;
};

/// One writer. Writing costs some ten stores, reading retries while the writer is inside.
class Presence {
 public:
  void enter(Activity activity, std::string_view what = {}) noexcept;
  void begin_step(std::int64_t step) noexcept;
  /// The rank has come to this collective.
  void join(std::string_view collective, std::uint64_t sequence) noexcept;
  /// Got on within what it does: a chunk has arrived, a file has been read.
  void beat() noexcept { beat_.store(beat_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  /// Whom it waits for, in ranks of the whole world; -1: nobody. The next place forgets it.
  void await(int rank) noexcept { awaits_.store(rank + 1, std::memory_order_relaxed); }
  Sighting read() const noexcept;

 private:
  using Words = std::array<std::atomic<std::uint64_t>, 8>;
  template <class F>
  void write(F&& fields) noexcept;
  void put_what(std::string_view what) noexcept;
  std::atomic<std::uint64_t> version_{0};  // odd: being written
  std::atomic<std::uint64_t> beat_{0}, sequence_{0};
  std::atomic<std::int64_t> step_{0};
  std::atomic<Activity> activity_{Activity::starting};
  std::atomic<std::int32_t> awaits_{0};  // plus one
  Words what_{};
};

/// For the time of a call the rank is elsewhere; afterwards it is back where it was.
class Visit {
 public:
  Visit(Presence& presence, Activity activity, std::string_view what = {}) : presence_(presence), before_(presence.read()) {
    presence_.enter(activity, what);
  }
  ~Visit() { presence_.enter(before_.activity, before_.what); }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  Presence& presence_;
  Sighting before_;
};

}  // namespace chorale
