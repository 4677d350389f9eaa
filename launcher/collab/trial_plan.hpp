// What one run of a study is made of: which rows each task has under an arm, and how many ticks all of them make.
#pragma once
#include <cstdint>
#include <vector>

#include <chorale/launcher/collab/control_runs.hpp>
#include <chorale/launcher/collab/steps_per_tick.hpp>
#include <chorale/launcher/collab/study_result.hpp>
#include <chorale/launcher/collab/trial_data.hpp>

namespace chorale {

struct TrialPlan {
  StudyKey key;
  std::vector<std::int64_t> per_tick;  // all by task
  std::vector<TaskRows> rows;
  std::vector<std::int64_t> features;
  TickCount ticks;
  bool shares = true;  // else tasks train beside each other
};

/// Throws UsageError for an unknown arm.
TrialPlan plan_trial(const TrialData& data, const StudyKey& key);

/// The rows of whoever sits in place `place`, by Seat.
TaskRows rows_of_seat(const TrialPlan& plan, const Seat& seat, std::size_t place);

}  // namespace chorale
