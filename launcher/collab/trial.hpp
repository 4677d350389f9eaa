// One run of a study: all tasks of a recipe train in this process, each on a thread, under one arm.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/launcher/collab/joint_trial.hpp>
#include <chorale/launcher/collab/study_result.hpp>
#include <chorale/launcher/collab/trial_data.hpp>
#include <chorale/launcher/collab/trial_plan.hpp>

namespace chorale {

/// The arms that can be run, in the order of the tables.
std::span<const std::string_view> known_arms();
/// Throws UsageError with what is allowed.
void check_arm(std::string_view arm);

/// Reads the data of all tasks once, and runs any number of trials. One thread calls it.
class CollabTrials {
 public:
  /// As TrialData.
  CollabTrials(const CollabRecipe& recipe, Log& log) : data_(recipe, log), log_(log) {}
  /// Deterministic in the key.
  StudyResult run(const StudyKey& key);
  /// Hash of what a result was made from: recipe and data.
  const std::string& identity() const { return data_.identity(); }
  /// Does `disjoint` leave out any training row here? Else it is the same run as collab.
  bool disjoint_differs() const;
  /// Why this arm cannot be run with these tables; empty: it can.
  std::string hindrance(std::string_view arm) const;
  /// Why this arm says nothing of the recipe's strategies, so that a verdict does without it; empty: it does.
  std::string needless(std::string_view arm) const { return why_needless(arm, data_.recipe().settings.strategy); }
  /// Of the arm disjoint, for people: which part of its training rows each task keeps.
  std::string disjoint_text() const;

 private:
  std::vector<JointMember> members(const TrialPlan& plan) const;
  StudyResult run_joint_arm(const TrialPlan& plan);
  void run_together(const TrialPlan& plan, const ControlRun& seats, StudyResult& result);
  TrialData data_;
  Log& log_;
};

}  // namespace chorale
