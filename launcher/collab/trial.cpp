#include <chorale/launcher/collab/trial.hpp>

#include <algorithm>
#include <array>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/trial_task.hpp>

namespace chorale {

namespace {

constexpr std::array<std::string_view, 11> kArms = {"alone",     "matched", "collab",        "unguarded", "disjoint", "shuffled",
                                                    "untrained", "pooled",  "shared_bottom", "mmoe",      "ple"};

/// A task that only lost its peers says so; who failed first says why.
void rethrow_cause(const std::vector<std::exception_ptr>& errors) {
  std::exception_ptr lost;
  for (const std::exception_ptr& error : errors) {
    if (!error) continue;
    try {
      std::rethrow_exception(error);
    } catch (const CommError&) {
      if (!lost) lost = error;
    }
  }
  if (lost) std::rethrow_exception(lost);
}

}  // namespace

std::span<const std::string_view> known_arms() { return kArms; }

void check_arm(std::string_view arm) {
  if (std::find(kArms.begin(), kArms.end(), arm) != kArms.end()) return;
  std::string allowed;
  for (const std::string_view known : kArms) allowed += " " + std::string(known);
  throw UsageError("arm '" + std::string(arm) + "' is unknown; allowed:" + allowed);
}

bool CollabTrials::disjoint_differs() const {
  for (std::size_t t = 0; t < data_.size(); ++t)
    if (static_cast<std::int64_t>(data_.task(t).disjoint_rows.size()) < data_.task(t).data.train->rows()) return true;
  return false;
}

std::string CollabTrials::hindrance(std::string_view arm) const {
  const CollabSettings& settings = data_.recipe().settings;
  if (is_joint(arm))
    return why_no_joint_model(members(plan_trial(data_, {.every = settings.every, .width = settings.width, .arm = std::string(arm)})));
  if (arm != "disjoint") return "";
  for (std::size_t t = 0; t < data_.size(); ++t)
    if (data_.task(t).disjoint_rows.empty())
      return "every training row of task " + data_.infos()[t].name + " is about an entity that another task is tested with";
  return "";
}

std::string CollabTrials::disjoint_text() const {
  std::string out;
  for (std::size_t t = 0; t < data_.size(); ++t)
    out += (t ? ", " : "") + data_.infos()[t].name + " " + std::to_string(data_.task(t).disjoint_rows.size()) + " of " +
           std::to_string(data_.task(t).data.train->rows());
  return out;
}

std::vector<JointMember> CollabTrials::members(const TrialPlan& plan) const {
  std::vector<JointMember> out;
  for (std::size_t t = 0; t < data_.size(); ++t) {
    const TrialTask& task = data_.task(t);
    const PreparedData& data = task.data;
    const auto& train = dynamic_cast<const MatrixDataset&>(*plan.rows[t].train);
    JointTask rows{data_.infos()[t].name,  data.train->matrix(),
                   data_.infos()[t].kinds, data.entities,
                   data.periods,           {train.row_numbers(), data.validation->row_numbers(), data.test->row_numbers()}};
    TaskScores scores{.task = data_.infos()[t].name, .metric = task.metric};
    scores.training_labels = train.rows(), scores.validation_labels = data.validation->rows();
    scores.entity = task.test_entities();
    out.push_back({&data_.recipe().tasks[t]->settings, &data.pipeline.targets[0], std::move(rows), std::move(scores)});
  }
  return out;
}

StudyResult CollabTrials::run_joint_arm(const TrialPlan& plan) {
  std::int64_t steps = 0;
  for (std::size_t t = 0; t < data_.size(); ++t) {
    const std::int64_t before = data_.infos()[t].role == TaskRole::target ? plan.ticks.burn_in : 0;
    steps = std::max(steps, (plan.ticks.ticks - before) * plan.per_tick[t]);
  }
  GraveLog errors_only(LogLevel::error, log_);
  const JointOutcome joint = run_joint(plan.key.arm, members(plan), steps, plan.key.seed, errors_only);
  return {.key = plan.key, .recipe = identity(), .tasks = joint.tasks, .step_ms = joint.step_ms};
}

StudyResult CollabTrials::run(const StudyKey& key) {
  const TrialPlan plan = plan_trial(data_, key);
  if (is_joint(key.arm)) return run_joint_arm(plan);
  StudyResult result{.key = key, .recipe = identity(), .tasks = std::vector<TaskScores>(data_.size())};
  const std::vector<ControlRun> runs =
      plan.shares ? control_runs(key.arm, data_.recipe().settings.strategy, data_.size()) : control_runs("", {}, data_.size());
  for (const ControlRun& one : runs) run_together(plan, one, result);
  result.step_ms /= static_cast<double>(runs.size()), result.bytes_per_step_per_rank /= static_cast<double>(runs.size());
  return result;
}

void CollabTrials::run_together(const TrialPlan& plan, const ControlRun& run, StudyResult& result) {
  const std::size_t tasks = data_.size();
  auto world = make_thread_communicators(static_cast<int>(tasks));
  std::vector<std::exception_ptr> errors(tasks);
  std::vector<TrialOutcome> outcomes(tasks);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < tasks; ++t)
    threads.emplace_back([&, t] {
      try {
        outcomes[t] = run_trial_task({*world[t], data_, plan, run.seats, t, log_});
      } catch (const std::exception& e) {
        errors[t] = std::current_exception();
        world[t]->abort(e.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  rethrow_cause(errors);
  for (const std::size_t t : run.scored) result.tasks[t] = std::move(outcomes[t].scores);
  result.affinity = outcomes[0].affinity;
  for (const TrialOutcome& outcome : outcomes) {
    result.step_ms += outcome.step_ms / static_cast<double>(tasks);
    result.bytes_per_step_per_rank += outcome.bytes_per_step / static_cast<double>(tasks);
  }
}

}  // namespace chorale
