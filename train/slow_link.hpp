// A link between nodes on which most of a run's time is lost, found in the phases that ranks tell each other anyway and the bytes that an
// exchange says it sends. Nothing is done about it: it is named once.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <chorale/train/callback.hpp>

namespace chorale {

/// One thread, of the rank that speaks.
class SlowLink {
 public:
  /// Of no link: says nothing.
  SlowLink() = default;
  /// nodes: the two that are to be named, those with the slowest link: "a and b". bytes: that a node puts on the wire in a step.
  SlowLink(std::string nodes, double bytes) : nodes_(std::move(nodes)), step_bytes_(bytes) {}
  /// After each step: the phases of every rank and the step's wall time. What to say, once, at the end of a window of at least 10 steps and
  /// a second in which half of the time went into an exchange at less than 15 MB/s: at 100 Mbit a second, or less. The exchange's time is
  /// that of the rank that others had to wait for. What backward hid is not counted, so the link is no faster than is said.
  std::optional<std::string> add(std::span<const Phases> phases, double step_ms);

 private:
  std::optional<std::string> judge() const;
  std::string nodes_;
  double step_bytes_ = 0, wall_ms_ = 0, wire_ms_ = 0;
  std::int64_t steps_ = 0;
  bool has_spoken_ = false;
};

}  // namespace chorale
