// One task's part of a run of a study: it trains in this thread, beside the others', and its test rows are scored.
#pragma once
#include <cstddef>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/launcher/collab/control_runs.hpp>
#include <chorale/launcher/collab/study_result.hpp>
#include <chorale/launcher/collab/trial_data.hpp>
#include <chorale/launcher/collab/trial_plan.hpp>

namespace chorale {

struct TrialSeat {
  Communicator& world;  // a rank for each task
  const TrialData& data;
  const TrialPlan& plan;
  const std::vector<Seat>& seats;  // by place
  std::size_t place;
  Log& log;
};

struct TrialOutcome {
  TaskScores scores = {};
  std::vector<double> affinity = {};       // on the first rank of a run that shares
  double step_ms = 0, bytes_per_step = 0;  // of its own step
};

/// Collective over the world. Deterministic in plan and seats.
TrialOutcome run_trial_task(const TrialSeat& seat);

/// Passes on what is at least as grave as `least`.
class GraveLog final : public Log {
 public:
  GraveLog(LogLevel least, Log& to) : least_(least), to_(to) {}
  void write(LogLevel level, std::string_view text) override {
    if (level >= least_) to_.write(level, text);
  }

 private:
  LogLevel least_;
  Log& to_;
};

}  // namespace chorale
