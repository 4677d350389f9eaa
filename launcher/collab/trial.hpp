// One run of a study: all tasks of a recipe train in this process, each on a thread, under one arm.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/joint_trial.hpp>
#include <chorale/launcher/collab/study_result.hpp>

namespace chorale {

/// The arms that can be run, in the order of the tables.
std::span<const std::string_view> known_arms();
/// Throws UsageError with what is allowed.
void check_arm(std::string_view arm);

/// Reads the data of all tasks once, and runs any number of trials. One thread calls it.
class CollabTrials {
 public:
  /// The recipe outlives it. Throws UsageError where the recipe's tasks cannot be studied: a metric that cannot be drawn again, no test
  /// rows.
  CollabTrials(const CollabRecipe& recipe, Log& log);
  ~CollabTrials();
  /// Deterministic in the key.
  StudyResult run(const StudyKey& key);
  /// Hash of what a result was made from: recipe and data.
  const std::string& identity() const { return identity_; }
  /// Does `disjoint` leave out any training row here? Else it is the same run as collab.
  bool disjoint_differs() const;
  /// Why this arm cannot be run with these tables; empty: it can.
  std::string hindrance(std::string_view arm) const;
  /// Of the arm disjoint, for people: which part of its training rows each task keeps.
  std::string disjoint_text() const;

 private:
  struct Task;
  struct Plan;
  Plan plan_of(const StudyKey& key) const;
  std::vector<JointMember> members(const Plan& plan) const;
  std::vector<std::uint64_t> test_entities(std::size_t task) const;
  /// Of a task's own step; a result has the mean over tasks, which have one rank each.
  struct Cost {
    double step_ms = 0, bytes_per_step = 0;
  };
  Cost run_task(Communicator& world, const Plan& plan, std::size_t t, StudyResult& result);
  const CollabRecipe& recipe_;
  Log& log_;
  std::vector<TaskInfo> infos_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::string identity_;
};

}  // namespace chorale
