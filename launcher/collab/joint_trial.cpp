#include <chorale/launcher/collab/joint_trial.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/loss/multi_task_loss.hpp>
#include <chorale/core/nn/multi_task.hpp>
#include <chorale/launcher/collab/study_metric.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

/// What all tasks are trained with: each one's own loss, the rest from the first.
TrainOptions joint_options(const std::vector<JointMember>& members) {
  TrainOptions out = members[0].settings->train;
  out.loss.clear(), out.class_weights.clear(), out.metrics.clear();
  bool stop_alike = !out.early_stop.empty();
  for (const JointMember& m : members) {
    const TrainOptions& own = m.settings->train;
    const std::vector<std::string> target{m.target->name};
    out.loss += (out.loss.empty() ? "" : " ") + m.rows.name + " : " + loss_of_target(own.loss, target, 0);
    stop_alike = stop_alike && own.early_stop == out.early_stop;
    if (own.class_weights.empty()) continue;
    out.class_weights.insert(out.class_weights.end(), {m.rows.name, ":"});
    out.class_weights.insert(out.class_weights.end(), own.class_weights.begin(), own.class_weights.end());
  }
  if (!stop_alike && !out.early_stop.empty()) out.early_stop = {"validation.loss", out.early_stop.back()};
  return out;
}

std::vector<FittedTarget> joint_targets(const std::vector<JointMember>& members) {
  std::vector<FittedTarget> out;
  for (const JointMember& m : members) {
    out.push_back(*m.target);
    out.back().name = m.rows.name;
  }
  return out;
}

std::int64_t batch_of(const std::vector<JointMember>& members, const JointRows& rows) {
  std::int64_t out = 0;
  for (const std::vector<std::size_t>& table : rows.tables) {
    std::int64_t most = 0;
    for (const std::size_t t : table) most = std::max(most, members[t].settings->train.batch);
    out += most;
  }
  return out;
}

TrainerConfig config_of(const std::vector<JointMember>& members, const JointRows& rows, std::int64_t steps, std::uint64_t seed) {
  const Settings& first = *members[0].settings;
  TrainerConfig config;
  config.train = joint_options(members), config.parallel = first.parallel, config.watchdog = first.watchdog;
  config.init = first.model.init;
  TrainOptions& t = config.train;
  t.batch = batch_of(members, rows), t.steps = steps, t.seed = static_cast<std::int64_t>(1000 * seed);
  const std::int64_t per_epoch = (rows.parts[0]->rows() + t.batch - 1) / t.batch;
  t.evaluate_every = t.evaluate_every > 0 ? t.evaluate_every : std::min(steps, t.evaluate_every_epochs * per_epoch);
  config.parallel.virtual_workers = std::max<std::int64_t>(1, config.parallel.virtual_workers);
  config.stops_early = false;
  return config;
}

void append(std::vector<double>& to, const Tensor& from) {
  with_float_type(from.dtype(), [&]<class T>() { to.insert(to.end(), from.data<T>(), from.data<T>() + from.elements()); });
}

/// Of all rows of the joint test part.
struct Seen {
  std::int64_t outputs = 1;
  std::vector<double> prediction, target, sample_loss;
};

std::vector<Seen> predict_all(Module& model, Objective& loss, FlatParams& params, const Dataset& rows) {
  const std::vector<LossTask> tasks = loss.tasks();
  std::vector<Seen> out(tasks.size());
  Evaluator::predict(model, loss, params, rows,
                     [&](std::size_t t, std::int64_t, const Values& in, const Tensor& raw, const std::vector<double>& predicted) {
                       const Labelled mine = labelled(in.at(tasks[t].target).value(), {});
                       out[t].outputs = raw.row_elements();
                       out[t].prediction.insert(out[t].prediction.end(), predicted.begin(), predicted.end());
                       append(out[t].target, mine.target);
                       append(out[t].sample_loss, tasks[t].loss->forward(Variable(raw), mine.target, mine.weight).sample_loss);
                     });
  return out;
}

/// The rows of one task.
void score(TaskScores& scores, const Seen& seen, const std::vector<std::int64_t>& rows, const Registry& registry) {
  Seen mine;
  const auto outputs = static_cast<std::size_t>(seen.outputs);
  for (const std::int64_t row : rows) {
    const auto at = static_cast<std::size_t>(row);
    const auto first = seen.prediction.begin() + static_cast<std::ptrdiff_t>(at * outputs);
    mine.prediction.insert(mine.prediction.end(), first, first + static_cast<std::ptrdiff_t>(outputs));
    mine.target.push_back(seen.target[at]), mine.sample_loss.push_back(seen.sample_loss[at]);
  }
  score_rows(scores,
             {.rows = static_cast<std::int64_t>(rows.size()),
              .outputs = seen.outputs,
              .prediction = mine.prediction,
              .target = mine.target,
              .weight = {},
              .sample_loss = mine.sample_loss},
             registry);
}

}  // namespace

bool is_joint(std::string_view arm) { return arm == "shared_bottom" || arm == "mmoe" || arm == "ple"; }

std::string hidden_layers(const std::string& layers) {
  const std::size_t last = layers.rfind("linear"), close = layers.find(')', std::min(last, layers.size()));
  if (last == std::string::npos || close == std::string::npos || layers.find_first_not_of(" \t", close + 1) != std::string::npos) return "";
  std::string out = layers.substr(0, last);
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
  return out;
}

std::string why_no_joint_model(const std::vector<JointMember>& members) {
  if (hidden_layers(members[0].settings->model.layers).empty())
    return "model.layers of task " + members[0].rows.name +
           " is not hidden layers and one linear layer at the end, so nothing could be shared";
  std::vector<JointTask> rows;
  for (const JointMember& m : members) rows.push_back(m.rows);
  return why_not_joint(rows);
}

JointOutcome run_joint(const std::string& arm, const std::vector<JointMember>& members, std::int64_t steps, std::uint64_t seed, Log& log) {
  if (const std::string why = why_no_joint_model(members); !why.empty()) throw UsageError("arm " + arm + ": " + why);
  std::vector<JointTask> tables;
  MultiTaskOptions o;
  o.expert_layers = hidden_layers(members[0].settings->model.layers);
  for (const JointMember& m : members) {
    tables.push_back(m.rows);
    o.tasks.push_back({m.rows.name, m.target->kind == TargetKind::classes ? static_cast<std::int64_t>(m.target->classes.size()) : 1});
  }
  const JointRows rows = join_rows(tables);
  Registry registry;
  register_all(registry);
  const auto comm = make_self_communicator();
  const auto device = make_cpu_device();
  const auto model = registry.of<MultiTaskEntry>().at(arm, "arm").make(o, rows.features, registry);
  const TrainerConfig config = config_of(members, rows, steps, seed);
  const auto loss = make_objective(config.train, joint_targets(members), registry);
  const auto optimizer = make_optimizer(members[0].settings->optimizer, registry);
  Trainer trainer({*comm, *device, *model, *loss, *optimizer, registry, log, rows.parts[0], rows.parts[1], rows.parts[2]}, config);
  const Summary summary = trainer.run();
  JointOutcome out{.tasks = {}, .step_ms = 1000 * summary.seconds_total / static_cast<double>(std::max<std::int64_t>(1, summary.steps))};
  const std::vector<Seen> seen = predict_all(*model, *loss, trainer.params(), *rows.parts[2]);
  for (std::size_t t = 0; t < members.size(); ++t) {
    out.tasks.push_back(members[t].scores);
    score(out.tasks.back(), seen[t], rows.test_rows[t], registry);
  }
  return out;
}

}  // namespace chorale
