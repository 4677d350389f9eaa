// One visit to the doctor: asks tools and hosts, has ranks started and watched, and makes the report. It asks itself neither MPI nor the
// network nor the folder of runs, so that it is there to tell when these hang.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/report.hpp>
#include <chorale/launcher/doctor/world.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/core/base/private_folder.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>

namespace chorale {

class DoctorVisit {
 public:
  struct Order {
    RankOptions ranks;
    Surroundings around;
    std::vector<Host> hosts;  // empty: no choice of them
    std::string run_dir;      // empty: the working directory
  };
  /// Throws UsageError.
  explicit DoctorVisit(Order order);
  /// Takes less than 30 s.
  DoctorReport report();
  /// As one of many of an outer launcher: only the first tells.
  void attend() { ask_ranks(); }

 private:
  using Clock = std::chrono::steady_clock;
  std::string launcher() const;
  void ask_tools();
  std::chrono::milliseconds left() const;
  WorldOrder world_order(std::chrono::milliseconds limit) const;
  WorldOutcome ask_ranks() const;
  WorldOutcome look_alone(const WorldOutcome& world) const;
  WorldOutcome watch(const WorldOrder& world) const;

  Clock::time_point start_ = Clock::now();
  Order order_;
  RankPlan plan_;
  ProbeOrder probe_;
  PrivateFolder folder_;
  std::string why_not_;  // ranks are not started
  Finding gnuplot_;
  DoctorReport report_;
};

}  // namespace chorale
