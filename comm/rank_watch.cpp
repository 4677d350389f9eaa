#include <chorale/comm/rank_watch.hpp>

#include <algorithm>
#include <cstring>

#include <chorale/comm/backtrace.hpp>

namespace chorale {
namespace {

/// As faults name places.
std::string_view place_of(Activity activity) {
  switch (activity) {
    case Activity::reading:
      return "read";
    case Activity::updating:
      return "update";
    case Activity::evaluating:
      return "evaluate";
    case Activity::saving:
      return "save";
    case Activity::restoring:
      return "restore";
    case Activity::ending:
      return "end";
    default:
      return {};  // layers and verbs are places of their own
  }
}

}  // namespace

void RankWatch::stand_in(Presence& place) noexcept {
  const Sighting now = presence().read();
  place.begin_step(now.step);
  place.enter(now.activity, now.what);
  presence_.store(&place, std::memory_order_release);
}

void RankWatch::enter(Activity activity, std::string_view what) {
  activity_ = activity, what_ = what;
  own().enter(activity, what);
  phase_ = recorder_.turn(phase_, {.kind = FlightRecorder::Kind::phase, .verb = name(activity).data(), .label = what},
                          step_.load(std::memory_order_relaxed));
  if (faults_) faults_->at(place_of(activity));
}

void RankWatch::begin_step(std::int64_t step) {
  step_.store(step, std::memory_order_relaxed);
  own_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  own().begin_step(step);
  if (faults_) faults_->begin_step(step);
}

void RankWatch::enter_layer(Activity activity, std::string_view layer) {
  activity_ = activity, what_ = layer;
  own().enter(activity, layer);
  if (faults_) faults_->at(activity == Activity::forward ? "forward" : "backward");
}

std::uint64_t RankWatch::begin(FlightRecorder::Kind kind, const Announcement& a, std::uint64_t bytes, const FlightScope& scope) {
  const std::uint64_t ticket = recorder_.begin({.kind = kind,
                                                .verb = name(a.verb),
                                                .label = {a.label, ::strnlen(a.label, sizeof a.label)},
                                                .sequence = a.sequence,
                                                .bytes = bytes,
                                                .scope = scope},
                                               step_.load(std::memory_order_relaxed));
  if (!faults_) return ticket;
  wait_for(a);  // who is ended here is in the verb
  faults_->at(name(a.verb));
  if (a.verb != Verb::all_reduce) faults_->at("all_reduce");
  waited();
  return ticket;
}

void RankWatch::wait_for(const Announcement& a) noexcept {
  if (!is_own_thread()) return;
  char title[sizeof(Sighting::what)];
  std::size_t used = 0;
  const auto put = [&](std::string_view text) {
    const std::size_t n = std::min(text.size(), sizeof title - 1 - used);
    std::memcpy(title + used, text.data(), n);
    used += n;
  };
  put(name(a.verb)), put(" '"), put({a.label, ::strnlen(a.label, sizeof a.label)}), put("'");
  own().join({title, used}, a.sequence);
}

void RankWatch::dump(std::string_view reason, bool with_threads) noexcept {
  if (recorder_.dump(reason, presence().read()) && with_threads) write_backtraces(recorder_.backtrace_path(), reason);
}

Stay::~Stay() {
  try {
    watch_.enter(activity_, what_);
  } catch (...) {  // a fault injected where the rank goes back to: a destructor cannot pass it on
  }
}

}  // namespace chorale
