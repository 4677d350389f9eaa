#include <chorale/comm/flight_recorder.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace chorale {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <class Clock>
std::int64_t now_of() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}
std::int64_t now_ns() { return now_of<std::chrono::steady_clock>(); }

constexpr std::string_view kKinds[] = {"phase", "collective", "message"};

}  // namespace

FlightRecorder::FlightRecorder() : ring_(kEntries), to_wall_ns_(now_of<std::chrono::system_clock>() - now_ns()) {}

std::uint64_t FlightRecorder::put(const Event& event, std::int64_t step, std::int64_t now) noexcept {
  const std::uint64_t ticket = next_.fetch_add(1, kRelaxed);
  Entry& entry = ring_[ticket % kEntries];
  entry.ticket.store(ticket, kRelaxed);
  entry.kind.store(event.kind, kRelaxed);
  entry.verb.store(event.verb, kRelaxed);
  entry.sequence.store(event.sequence, kRelaxed);
  entry.bytes.store(event.bytes, kRelaxed);
  entry.first_rank.store(event.scope.first_rank, kRelaxed);
  entry.ranks.store(event.scope.ranks, kRelaxed);
  entry.split.store(event.scope.split, kRelaxed);
  entry.step.store(step, kRelaxed);
  entry.begun_ns.store(now, kRelaxed);
  entry.finished_ns.store(0, kRelaxed);
  char text[sizeof entry.label] = {};
  event.label.copy(text, sizeof text);
  for (std::size_t i = 0; i < entry.label.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text + 8 * i, 8);
    entry.label[i].store(word, kRelaxed);
  }
  return ticket;
}

std::uint64_t FlightRecorder::begin(const Event& event, std::int64_t step) noexcept { return put(event, step, now_ns()); }

void FlightRecorder::finish(std::uint64_t ticket) noexcept {
  Entry& entry = ring_[ticket % kEntries];
  if (entry.ticket.load(kRelaxed) == ticket) entry.finished_ns.store(now_ns(), kRelaxed);
}

std::uint64_t FlightRecorder::turn(std::uint64_t ticket, const Event& event, std::int64_t step) noexcept {
  const std::int64_t now = now_ns();
  Entry& before = ring_[ticket % kEntries];
  if (ticket > 0 && before.ticket.load(kRelaxed) == ticket) before.finished_ns.store(now, kRelaxed);
  return put(event, step, now);
}

void FlightRecorder::open(const std::string& folder, int rank, int size) {
  rank_ = rank, size_ = size;
  const std::string number = std::to_string(rank);
  std::snprintf(path_, sizeof path_, "%s/logs/flight_rank_%s.json", folder.c_str(), number.c_str());
  std::snprintf(backtrace_path_, sizeof backtrace_path_, "%s/logs/backtrace_rank_%s.txt", folder.c_str(), number.c_str());
  ::unlink(path_), ::unlink(backtrace_path_);
}

void FlightRecorder::write(RawText& out, const Entry& entry) const noexcept {
  char label[sizeof entry.label + 1] = {};
  for (std::size_t i = 0; i < entry.label.size(); ++i) {
    const std::uint64_t word = entry.label[i].load(kRelaxed);
    std::memcpy(label + 8 * i, &word, 8);
  }
  const char* verb = entry.verb.load(kRelaxed);
  const std::int64_t finished = entry.finished_ns.load(kRelaxed);
  const auto kind = static_cast<std::size_t>(entry.kind.load(kRelaxed));
  out.put("{\"number\":").put(static_cast<std::int64_t>(entry.ticket.load(kRelaxed)));
  out.put(",\"kind\":").put_quoted(kKinds[kind]).put(",\"verb\":").put_quoted(verb ? verb : "").put(",\"label\":").put_quoted(label);
  if (kind != 0) {
    out.put(",\"sequence\":").put(static_cast<std::int64_t>(entry.sequence.load(kRelaxed)));
    out.put(",\"bytes\":").put(static_cast<std::int64_t>(entry.bytes.load(kRelaxed)));
    out.put(",\"first_rank\":").put(entry.first_rank.load(kRelaxed)).put(",\"ranks\":").put(entry.ranks.load(kRelaxed));
    out.put(",\"split\":").put(entry.split.load(kRelaxed));
  }
  out.put(",\"step\":").put(entry.step.load(kRelaxed));
  out.put(",\"begun\":").put_seconds(entry.begun_ns.load(kRelaxed) + to_wall_ns_).put(",\"finished\":");
  if (finished == 0)
    out.put("null}");
  else
    out.put_seconds(finished + to_wall_ns_).put("}");
}

bool FlightRecorder::dump(std::string_view reason, const Sighting& place) noexcept {
  if (path_[0] == '\0' || dumped_.exchange(true)) return false;
  RawText out(path_);
  out.put("{\"rank\":").put(rank_).put(",\"world_size\":").put(size_).put(",\"reason\":").put_quoted(reason);
  out.put(",\n\"time\":").put_seconds(now_ns() + to_wall_ns_).put(",\"activity\":").put_quoted(name(place.activity));
  out.put(",\"what\":").put_quoted(place.what).put(",\"step\":").put(place.step);
  out.put(",\"sequence\":").put(static_cast<std::int64_t>(place.sequence)).put(",\n\"entries\":[");
  const std::uint64_t end = next_.load(kRelaxed), first = end > kEntries ? end - kEntries : 1;
  for (std::uint64_t ticket = first; ticket < end; ++ticket) {
    out.put(ticket == first ? "\n" : ",\n");
    write(out, ring_[ticket % kEntries]);
  }
  out.put("]}\n");
  return out.is_open();
}

}  // namespace chorale
