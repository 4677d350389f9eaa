#include <chorale/train/slow_link.hpp>

#include <algorithm>
#include <cstdio>

namespace chorale {

namespace {
constexpr std::int64_t kLeastSteps = 10;
constexpr double kWindowMs = 1000;
constexpr double kClearShare = 0.5;        // of the time, lost by everybody
constexpr double kSlowBytesPerMs = 15000;  // 100 Mbit/s and less
constexpr double kLeastMs = 5;             // a step's exchange; below, latency and the scheduler decide, not the link
}  // namespace

std::optional<std::string> SlowLink::add(std::span<const Phases> phases, double step_ms) {
  if (has_spoken_ || step_bytes_ == 0 || phases.empty()) return std::nullopt;
  // Who comes last waits for nobody: its time is the wire's.
  const auto last =
      std::min_element(phases.begin(), phases.end(), [](const Phases& a, const Phases& b) { return a.communicate < b.communicate; });
  wire_ms_ += last->communicate, wall_ms_ += step_ms;
  if (++steps_ < kLeastSteps || wall_ms_ < kWindowMs) return std::nullopt;
  const std::optional<std::string> out = judge();
  has_spoken_ = out.has_value();
  wall_ms_ = wire_ms_ = 0, steps_ = 0;
  return out;
}

std::optional<std::string> SlowLink::judge() const {
  const double steps = static_cast<double>(steps_), bytes = step_bytes_ * steps;
  if (wire_ms_ < kClearShare * wall_ms_ || wire_ms_ < kLeastMs * steps || bytes >= kSlowBytesPerMs * wire_ms_) return std::nullopt;
  char text[160];
  std::snprintf(text, sizeof text, "measured %.3g MB/s between ", bytes / wire_ms_ / 1000);
  std::string out = "the link between nodes is slow: " + (text + nodes_);
  std::snprintf(text, sizeof text, "; %.0f %% of a step of %.3g ms is the exchange of %.3g MB; ",
                std::min(100.0, 100 * wire_ms_ / wall_ms_), wall_ms_ / steps, step_bytes_ / 1e6);
  return out + text +
         "parallel.wire = bf16 halves the bytes, parallel.exchange = local_sgd sends less often; chorale doctor --hosts measures each link";
}

}  // namespace chorale
