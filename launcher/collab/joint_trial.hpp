// The arms of a study in one process: shared_bottom, mmoe, ple over the joined rows of all tasks.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/launcher/collab/joint_rows.hpp>
#include <chorale/launcher/collab/study_result.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// One task of the study.
struct JointMember {
  const Settings* settings;
  const FittedTarget* target;
  JointTask rows;
  TaskScores scores;  // all but what the model finds
};

/// Is it an arm of this kind?
bool is_joint(std::string_view arm);
/// Why no such model can be made of these tasks; empty: it can.
std::string why_no_joint_model(const std::vector<JointMember>& members);

struct JointOutcome {
  std::vector<TaskScores> tasks;
  double step_ms = 0;
};
/// Experts have the hidden layers of the first task, towers a linear layer alone, losses equal weights; optimiser and batch are the first
/// task's, the batch once for each table. Updates: `steps`; the best weights are kept by the tasks' own early stopping, a mean over tasks,
/// where they have one in common, else by the loss.
JointOutcome run_joint(const std::string& arm, const std::vector<JointMember>& members, std::int64_t steps, std::uint64_t seed, Log& log);

/// model.layers without its last layer, linear(...); empty: there is nothing before it, or something behind it.
std::string hidden_layers(const std::string& layers);

}  // namespace chorale
