// What one rank did when, in a window of steps, for a viewer to draw. Where no trace is handed on, a span costs the test of a pointer.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace chorale {

/// Belongs to the thread that made it. One other may add spans, which then lie on a track of their own; whoever opens, closes or reads does
/// so while that other is at rest.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;
  struct Span {
    std::string name;
    double start_us, duration_us;  // since open()
  };
  /// Recording begins; times count from here.
  void open() { on_ = true, origin_ = last_mark_ = Clock::now(); }
  void close() { on_ = false; }
  bool is_on() const { return on_; }
  void add(std::string_view name, Clock::time_point start, Clock::time_point end) {
    std::vector<Span>& track = std::this_thread::get_id() == owner_ ? spans_ : other_;
    track.push_back({std::string(name), us(start - origin_), us(end - start)});
  }
  /// The next mark's span begins now.
  void begin_marks() { last_mark_ = Clock::now(); }
  /// A span from the last mark until now: what ended just now, where nobody saw it begin.
  void mark(std::string_view name) {
    const Clock::time_point now = Clock::now();
    add(name, last_mark_, now);
    last_mark_ = now;
  }
  const std::vector<Span>& spans() const { return spans_; }
  const std::vector<Span>& other_spans() const { return other_; }

 private:
  static double us(Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }
  bool on_ = false;
  Clock::time_point origin_, last_mark_;
  std::vector<Span> spans_, other_;
  std::thread::id owner_ = std::this_thread::get_id();
};

/// Records its own lifetime.
class TraceSpan {
 public:
  TraceSpan(Trace* trace, std::string_view name) : trace_(trace && trace->is_on() ? trace : nullptr), name_(name) {
    if (trace_) start_ = Trace::Clock::now();
  }
  ~TraceSpan() {
    if (trace_) trace_->add(name_, start_, Trace::Clock::now());
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  Trace* trace_;
  std::string_view name_;  // outlives the span
  Trace::Clock::time_point start_;
};

}  // namespace chorale
