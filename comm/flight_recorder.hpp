// The last communications and phases of a rank, in a ring that is written in passing and put into a file when the rank ends badly. What
// the files of all ranks say together (launcher/flight_report) tells which rank diverged first.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/comm/presence.hpp>
#include <chorale/comm/raw_text.hpp>

namespace chorale {

/// Which communicator: its first rank in the whole world, its size, and the number of the split that made it.
struct FlightScope {
  std::int32_t first_rank = 0, ranks = 1, split = 0;
};

/// Each thread writes entries of its own; dump() may come from any thread and from a signal handler: then the newest entry may be of two
/// moments.
class FlightRecorder {
 public:
  static constexpr std::size_t kEntries = 1000;
  enum class Kind : std::uint8_t { phase, collective, message };
  struct Event {
    Kind kind;
    const char* verb;  // lives for ever
    std::string_view label;
    std::uint64_t sequence = 0, bytes = 0;
    FlightScope scope = {};
  };

  FlightRecorder();
  FlightRecorder(const FlightRecorder&) = delete;
  FlightRecorder& operator=(const FlightRecorder&) = delete;

  /// The ticket is for finish(). What is never finished was under way at the end.
  std::uint64_t begin(const Event& event, std::int64_t step) noexcept;
  void finish(std::uint64_t ticket) noexcept;
  /// One event ends where the next begins: what finish() and begin() do, with one look at the clock.
  std::uint64_t turn(std::uint64_t ticket, const Event& event, std::int64_t step) noexcept;

  /// From now on there is a file to dump to: logs/flight_rank_N.json of the folder. Removes what lies there.
  void open(const std::string& folder, int rank, int size);
  /// Who it is before there is a file.
  void belongs_to(int rank, int size) { rank_ = rank, size_ = size; }
  const char* backtrace_path() const { return backtrace_path_; }  // empty before open()
  int rank() const { return rank_; }
  /// Writes the file: the first call wins, later ones do nothing and say false. Async-signal-safe.
  bool dump(std::string_view reason, const Sighting& place) noexcept;

 private:
  struct Entry {
    std::atomic<std::uint64_t> ticket{0}, sequence{0}, bytes{0};  // ticket counts from 1; 0: empty
    std::atomic<std::int64_t> begun_ns{0}, finished_ns{0}, step{0};
    std::atomic<const char*> verb{nullptr};
    std::atomic<std::int32_t> first_rank{0}, ranks{0}, split{0};
    std::atomic<Kind> kind{Kind::phase};
    std::array<std::atomic<std::uint64_t>, 6> label{};
  };
  std::uint64_t put(const Event& event, std::int64_t step, std::int64_t now_ns) noexcept;
  void write(RawText& out, const Entry& entry) const noexcept;
  std::vector<Entry> ring_;
  std::atomic<std::uint64_t> next_{1};
  std::int64_t to_wall_ns_;  // of the clock that entries are stamped with
  int rank_ = 0, size_ = 1;
  char path_[512] = {}, backtrace_path_[512] = {};
  std::atomic<bool> dumped_{false};
};

}  // namespace chorale
