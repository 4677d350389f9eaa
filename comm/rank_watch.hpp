// What a rank says about itself in passing: where it is (Presence, for those who wait), what it did (FlightRecorder, for afterwards), and
// the faults that tests inject at those places. One for each rank, shared by all its communicators.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <chorale/comm/announcement.hpp>
#include <chorale/comm/faults.hpp>
#include <chorale/comm/flight_recorder.hpp>
#include <chorale/comm/presence.hpp>
#include <chorale/core/base/memory_kills.hpp>
#include <chorale/core/base/observer.hpp>

namespace chorale {

/// The rank's own thread, the one that begins steps, says where it is. A thread that carries buckets for it uses communicators too: its
/// verbs are recorded, but where the rank is they do not change. presence() and dump() from any thread, dump() also from a signal handler.
class RankWatch final : public Observer {
 public:
  /// From now on the rank is seen in memory that its peers map.
  void stand_in(Presence& place) noexcept;
  const Presence& presence() const noexcept { return *presence_.load(std::memory_order_acquire); }
  FlightRecorder& recorder() { return recorder_; }
  /// Of this rank's control group, since it began.
  const MemoryKills& memory_kills() const { return memory_kills_; }
  void inject(std::unique_ptr<Faults> faults) { faults_ = std::move(faults); }
  Faults* faults() { return faults_.get(); }  // null: none
  /// The rank has come to a place of which nobody else is told.
  void at(std::string_view place) {
    if (faults_) faults_->at(place);
  }

  /// `what` must live until the next place.
  void enter(Activity activity, std::string_view what = {});
  void begin_step(std::int64_t step);
  void forward(std::string_view layer) override { enter_layer(Activity::forward, layer); }
  void backward(std::string_view layer) override { enter_layer(Activity::backward, layer); }
  void beat() noexcept {
    if (is_own_thread()) own().beat();
  }
  Activity activity() const { return activity_; }
  std::string_view what() const { return what_; }

  // For communicators: every verb begins and ends, and some are waited for.
  std::uint64_t begin(FlightRecorder::Kind kind, const Announcement& announcement, std::uint64_t bytes, const FlightScope& scope);
  void finish(std::uint64_t ticket) noexcept { recorder_.finish(ticket); }
  void wait_for(const Announcement& announcement) noexcept;
  void await(int root_rank) noexcept {
    if (is_own_thread()) own().await(root_rank);
  }
  void waited() noexcept {
    if (is_own_thread()) own().enter(activity_, what_);
  }

  /// Writes what was recorded, once; with_threads: and what every thread of the process is at.
  void dump(std::string_view reason, bool with_threads) noexcept;

 private:
  bool is_own_thread() const noexcept {
    const std::thread::id own = own_thread_.load(std::memory_order_relaxed);
    return own == std::thread::id() || own == std::this_thread::get_id();
  }
  Presence& own() noexcept { return *presence_.load(std::memory_order_relaxed); }
  void enter_layer(Activity activity, std::string_view layer);
  Presence first_;  // until there is a page
  std::atomic<Presence*> presence_{&first_};
  FlightRecorder recorder_;
  MemoryKills memory_kills_;
  std::unique_ptr<Faults> faults_;
  Activity activity_ = Activity::starting;
  std::string_view what_;
  std::atomic<std::int64_t> step_{0};
  std::atomic<std::thread::id> own_thread_{};  // none before the first step: then there is one thread
  std::uint64_t phase_ = 0;
};

/// For the time of a call the rank is elsewhere; afterwards it is back where it was.
class Stay {
 public:
  Stay(RankWatch& watch, Activity activity, std::string_view what = {}) : watch_(watch), activity_(watch.activity()), what_(watch.what()) {
    watch_.enter(activity, what);
  }
  ~Stay();
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

 private:
  RankWatch& watch_;
  Activity activity_;
  std::string_view what_;
};

}  // namespace chorale
