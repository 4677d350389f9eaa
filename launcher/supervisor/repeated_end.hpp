// A batch that ends every attempt in the same way: starting again does not help, and its samples are to be named.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// Counts ends of one step with one cause since the newest checkpoint. A step that differs by one is the same: what was seen of ranks may
/// be from the moment before. Numbers in causes (processes, seconds) do not make them differ.
class RepeatedEnd {
 public:
  static constexpr int kMost = 3;
  /// As the lines of events.jsonl in `run` tell it, over all of its attempts; empty where the newest checkpoint is from after the last.
  static RepeatedEnd in_events_of(const std::filesystem::path& run);
  /// There is a new checkpoint.
  void forget() { seen_.clear(); }
  /// True: it is the third.
  bool add(const Verdict& verdict);
  /// The last one as a final verdict, with code 70 and the first samples of the batch as ranks have noted them in `run`.
  Verdict final_verdict(const Verdict& verdict, const std::filesystem::path& run) const;

 private:
  struct Seen {
    std::int64_t step = 0;  // the furthest
    int times = 0;
  };
  std::map<std::string, Seen> seen_;
};

/// This process belongs to a job that Slurm has started again: earlier starts' ends count, for nobody else remembers them.
bool is_requeued_job();

}  // namespace chorale
