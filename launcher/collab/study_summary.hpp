// What all runs of a study say together: scores by arm and task, differences, verdicts, what sharing costs. Values, made once at the end.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <chorale/launcher/collab/study_statistics.hpp>
#include <chorale/launcher/collab/study_verdict.hpp>

namespace chorale {

struct StudyInfo {
  std::string subject = {};           // what was studied: the recipe's name
  std::string command = {};           // that makes it
  std::int64_t every = 0, width = 0;  // of the runs that no sweep changes
  BootstrapOptions bootstrap = {};
  std::map<std::string, std::string> left_out = {};  // arms that were asked for and could not be run, and why
  std::string no_shuffled = {};                      // as VerdictCase
};

/// Over seeds.
struct ArmScores {
  std::string arm;
  double mean = 0, sd = 0;  // sd: of a sample, NaN for one seed
  std::vector<double> values;
};

/// Collab minus the arm, in the metric's own direction.
struct Versus {
  std::string arm;
  Difference minus;
  double p_holm = 1;  // over the tasks that have this arm
};

struct StudyTask {
  std::string name, metric;
  bool higher_is_better = false;
  std::int64_t training_labels = 0, validation_labels = 0, test_rows = 0, test_entities = 0;  // of the first seed
  std::int64_t peers_trained_on = -1;                                                         // see TaskScores
  std::vector<ArmScores> arms;                                                                // in the order of arm_place
  std::vector<Versus> versus;
  std::optional<double> closed_gap;
  VerdictCase asked;

  const ArmScores* arm(const std::string& name) const;
  const Versus* against(const std::string& arm) const;
  /// Collab over the arm, above 0 where it is better; NaN where either was not run.
  double gain_over(const std::string& arm) const;
};

/// All runs with one number of labels, one `every` and one `width`.
struct StudyCell {
  std::int64_t labels = kAllLabels;
  std::vector<std::uint64_t> seeds;
  std::vector<StudyTask> tasks;
  /// Where collab does least for its task against matched: by the difference where all tasks have one metric, else by its share of the
  /// matched score. Empty without matched.
  std::string worst_task;
  /// By arm that has all tasks: mean over tasks. Empty where tasks have different metrics.
  std::vector<std::pair<std::string, double>> mean_of_tasks;
};

struct StudyPart {
  std::vector<StudyCell> cells;                   // by labels, ascending, all of them last
  std::optional<double> bytes_per_step_per_rank;  // of collab, mean over its runs
  std::optional<double> overhead;                 // of collab's step time over alone's, mean over pairs: 0.05 is 5 % more
};

struct Study {
  StudyInfo info;
  StudyPart base;
  std::map<std::int64_t, StudyPart> every, width;  // where more than one value was run; the base is one of them
  std::vector<double> affinity;                    // [tasks, tasks] of collab at the base, mean over its runs; empty: not measured
  std::vector<std::string> tasks;                  // by row of affinity
};

/// The place of an arm in tables and pictures: alone and matched first, then collab, its controls, bounds and rivals; unknown ones last.
std::size_t arm_place(const std::string& arm);
/// What an arm is, in a few words; "" for an unknown one.
std::string arm_meaning(const std::string& arm);

/// In a sweep, arms that it cannot change are taken from the base: those without sharing for `every`, and of these all but matched for
/// `width`. Throws UsageError where an arm lacks a seed that collab has; InternalError where a reported score is not that of its rows.
Study summarise(const StudyInfo& info, std::span<const StudyResult> results);

}  // namespace chorale
