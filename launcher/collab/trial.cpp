#include <chorale/launcher/collab/trial.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/launcher/collab/joint_trial.hpp>
#include <chorale/launcher/collab/pooled_rows.hpp>
#include <chorale/launcher/collab/study_metric.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {

constexpr std::array<std::string_view, 11> kArms = {"alone",     "matched", "collab",        "unguarded", "disjoint", "shuffled",
                                                    "untrained", "pooled",  "shared_bottom", "mmoe",      "ple"};

Control control_of(std::string_view arm) {
  if (arm == "matched") return Control::matched;
  if (arm == "shuffled") return Control::shuffled;
  return arm == "untrained" ? Control::untrained : Control::none;
}

/// A control is run without the guard, or that would make it pass by construction.
bool has_guard(std::string_view arm, bool wanted) { return wanted && (arm == "collab" || arm == "matched" || arm == "disjoint"); }

bool has_one_seed(const CollabRecipe& recipe) {
  const std::vector<std::string>& all = recipe.settings.strategy;
  return std::find(all.begin(), all.end(), "stitch") != all.end();
}

struct From final : Log {
  From(LogLevel least, Log& to) : least_(least), to_(to) {}
  void write(LogLevel level, std::string_view text) override {
    if (level >= least_) to_.write(level, text);
  }
  LogLevel least_;
  Log& to_;
};

/// `count` rows of a part, drawn by the seed; they keep their order.
std::shared_ptr<const MatrixDataset> some_rows(const MatrixDataset& from, std::int64_t count, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> drawn;
  for (const std::int64_t row : from.row_numbers()) drawn.emplace_back(mix(mix(seed, 0x6C6162656Cu), static_cast<std::uint64_t>(row)), row);
  std::sort(drawn.begin(), drawn.end());
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(count, from.rows()); ++i) rows.push_back(drawn[static_cast<std::size_t>(i)].second);
  std::sort(rows.begin(), rows.end());
  return std::make_shared<MatrixDataset>(from.matrix(), std::move(rows));
}

}  // namespace

std::span<const std::string_view> known_arms() { return kArms; }

void check_arm(std::string_view arm) {
  if (std::find(kArms.begin(), kArms.end(), arm) != kArms.end()) return;
  std::string allowed;
  for (const std::string_view known : kArms) allowed += " " + std::string(known);
  throw UsageError("arm '" + std::string(arm) + "' is unknown; allowed:" + allowed);
}

struct CollabTrials::Task {
  PreparedData data;
  EntityRequest request;
  std::string metric;
  /// Rows that no peer's test part holds the entity of, of the training part; for the arm disjoint.
  std::vector<std::int64_t> disjoint_rows;
};

struct CollabTrials::Plan {
  StudyKey key;
  std::vector<std::int64_t> per_tick;
  std::vector<TaskRows> rows;
  std::vector<std::int64_t> features;
  TickCount ticks;
  bool shares = true;  // else tasks train beside each other
};

CollabTrials::~CollabTrials() = default;

CollabTrials::CollabTrials(const CollabRecipe& recipe, Log& log) : recipe_(recipe), log_(log) {
  ContentHash hash;
  const auto add = [&](const std::string& text) { hash.add(std::as_bytes(std::span(text))); };
  add(recipe.resolved());
  const auto self = make_self_communicator();
  for (std::size_t t = 0; t < recipe.tasks.size(); ++t) {
    const Settings& s = recipe.tasks[t]->settings;
    TaskInfo info{.name = recipe.sections[t]->name,
                  .role = parse_role(recipe.sections[t]->role),
                  .kinds = {},
                  .ranks = 1,
                  .weight = recipe.sections[t]->weight};
    auto task = std::make_unique<Task>();
    task->request = recipe.request(t);
    for (const EntityColumn& entity : task->request.columns) info.kinds.push_back(entity.kind);
    infos_.push_back(std::move(info));
    task->metric = s.train.metrics.empty() ? "loss" : s.train.metrics[0];
    check_study_metric(task->metric);
    task->data = prepare_data(s.data, s.train, *self, log, task->request);
    add(task->data.identity());
    if (task->data.test->rows() == 0)
      throw UsageError("task " + infos_[t].name + " has no test rows, which a study is about; give collab.split three shares");
    tasks_.push_back(std::move(task));
  }
  identity_ = hash.text();
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    std::set<EntityId> tested;
    for (std::size_t other = 0; other < tasks_.size(); ++other) {
      if (other == t || !infos_[other].listens()) continue;
      for (const std::vector<EntityId>& ids : tasks_[other]->data.entities)
        for (const std::int64_t row : tasks_[other]->data.test->row_numbers()) tested.insert(ids[static_cast<std::size_t>(row)]);
    }
    tested.erase(kNoEntity);
    for (const std::int64_t row : tasks_[t]->data.train->row_numbers()) {
      bool meets = false;
      for (const std::vector<EntityId>& ids : tasks_[t]->data.entities)
        meets = meets || tested.contains(ids[static_cast<std::size_t>(row)]);
      if (!meets) tasks_[t]->disjoint_rows.push_back(row);
    }
  }
}

bool CollabTrials::disjoint_differs() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& task) { return static_cast<std::int64_t>(task->disjoint_rows.size()) < task->data.train->rows(); });
}

std::string CollabTrials::hindrance(std::string_view arm) const {
  if (is_joint(arm))
    return why_no_joint_model(
        members(plan_of({.every = recipe_.settings.every, .width = recipe_.settings.width, .arm = std::string(arm)})));
  if (arm != "disjoint") return "";
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    if (tasks_[t]->disjoint_rows.empty())
      return "every training row of task " + infos_[t].name + " is about an entity that another task is tested with";
  return "";
}

std::string CollabTrials::disjoint_text() const {
  std::string out;
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    out += (t ? ", " : "") + infos_[t].name + " " + std::to_string(tasks_[t]->disjoint_rows.size()) + " of " +
           std::to_string(tasks_[t]->data.train->rows());
  return out;
}

CollabTrials::Plan CollabTrials::plan_of(const StudyKey& key) const {
  check_arm(key.arm);
  Plan plan{.key = key,
            .per_tick = recipe_.pinned_steps(),
            .rows = {},
            .features = {},
            .ticks = {},
            .shares = key.arm != "alone" && key.arm != "pooled" && !is_joint(key.arm)};
  if (plan.per_tick.empty() || key.every != recipe_.settings.every) plan.per_tick.assign(tasks_.size(), key.every);
  const bool has_targets = std::any_of(infos_.begin(), infos_.end(), [](const TaskInfo& i) { return i.role == TaskRole::target; });
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const PreparedData& data = tasks_[t]->data;
    TaskRows rows = task_rows(data);
    if (key.arm == "disjoint") rows.train = std::make_shared<MatrixDataset>(data.train->matrix(), tasks_[t]->disjoint_rows);
    std::int64_t features = data.pipeline.features();
    if (key.arm == "pooled" && infos_[t].listens()) {
      std::vector<PooledPeer> peers;
      std::vector<std::vector<EntityId>> own;
      for (std::size_t p = 0; p < tasks_.size(); ++p) {
        if (p == t || !infos_[p].publishes()) continue;
        for (std::size_t k = 0; k < infos_[t].kinds.size(); ++k) {
          const auto it = std::find(infos_[p].kinds.begin(), infos_[p].kinds.end(), infos_[t].kinds[k]);
          if (it == infos_[p].kinds.end()) continue;
          peers.push_back({tasks_[p]->data.train->matrix(),
                           tasks_[p]->data.entities[static_cast<std::size_t>(it - infos_[p].kinds.begin())], tasks_[p]->data.periods});
          own.push_back(data.entities[k]);
        }
      }
      const FeatureMatrix matrix = pool_features(data.train->matrix(), own, data.periods, peers);
      const auto over = [&](const MatrixDataset& part) {
        return std::make_shared<MatrixDataset>(matrix, std::vector<std::int64_t>(part.row_numbers().begin(), part.row_numbers().end()));
      };
      rows.train = over(*data.train), rows.validation = over(*data.validation), rows.test = over(*data.test);
      features = matrix.features;
    }
    if (key.labels != kAllLabels && (infos_[t].role == TaskRole::target || !has_targets))
      rows.train = some_rows(dynamic_cast<const MatrixDataset&>(*rows.train), key.labels, key.seed);
    plan.rows.push_back(std::move(rows));
    plan.features.push_back(features);
  }
  // Equal steps in all arms: those that the tasks would make with all of their labels.
  std::vector<std::int64_t> steps;
  std::vector<bool> late;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    steps.push_back(own_steps(recipe_.tasks[t]->settings.train, tasks_[t]->data.train->rows()));
    late.push_back(infos_[t].role == TaskRole::target);
  }
  plan.ticks = count_ticks(steps, plan.per_tick, late, recipe_.settings.burn_in);
  return plan;
}

std::vector<std::uint64_t> CollabTrials::test_entities(std::size_t t) const {
  std::vector<std::uint64_t> out;
  const PreparedData& data = tasks_[t]->data;
  for (const std::int64_t row : data.test->row_numbers()) {
    const auto number = static_cast<std::size_t>(row);
    const EntityId id = data.entities[0][number];
    out.push_back(id != kNoEntity ? id : mix(0x6E6F6E65u, number));
  }
  return out;
}

std::vector<JointMember> CollabTrials::members(const Plan& plan) const {
  std::vector<JointMember> out;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const PreparedData& data = tasks_[t]->data;
    const auto& train = dynamic_cast<const MatrixDataset&>(*plan.rows[t].train);
    JointTask rows{infos_[t].name, data.train->matrix(), infos_[t].kinds,
                   data.entities,  data.periods,         {train.row_numbers(), data.validation->row_numbers(), data.test->row_numbers()}};
    TaskScores scores{.task = infos_[t].name, .metric = tasks_[t]->metric};
    scores.training_labels = train.rows(), scores.validation_labels = data.validation->rows();
    scores.entity = test_entities(t);
    out.push_back({&recipe_.tasks[t]->settings, &data.pipeline.targets[0], std::move(rows), std::move(scores)});
  }
  return out;
}

StudyResult CollabTrials::run(const StudyKey& key) {
  const Plan plan = plan_of(key);
  if (is_joint(key.arm)) {
    std::int64_t steps = 0;
    for (std::size_t t = 0; t < tasks_.size(); ++t)
      steps = std::max(steps, (plan.ticks.ticks - (infos_[t].role == TaskRole::target ? plan.ticks.burn_in : 0)) * plan.per_tick[t]);
    From errors_only(LogLevel::error, log_);
    const JointOutcome joint = run_joint(key.arm, members(plan), steps, key.seed, errors_only);
    return {.key = key, .recipe = identity_, .tasks = joint.tasks, .step_ms = joint.step_ms};
  }
  StudyResult result{.key = key, .recipe = identity_, .tasks = std::vector<TaskScores>(tasks_.size())};
  auto world = make_thread_communicators(static_cast<int>(tasks_.size()));
  std::vector<std::exception_ptr> errors(tasks_.size());
  std::vector<Cost> costs(tasks_.size());
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    threads.emplace_back([&, t] {
      try {
        costs[t] = run_task(*world[t], plan, t, result);
      } catch (const std::exception& e) {
        errors[t] = std::current_exception();
        world[t]->abort(e.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  // A task that only lost its peers says so; who failed first says why.
  std::exception_ptr first;
  for (const std::exception_ptr& error : errors) {
    if (!error) continue;
    try {
      std::rethrow_exception(error);
    } catch (const CommError&) {
      if (!first) first = error;
    } catch (...) {
      std::rethrow_exception(error);
    }
  }
  if (first) std::rethrow_exception(first);
  for (const Cost& cost : costs) {
    result.step_ms += cost.step_ms / static_cast<double>(costs.size());
    result.bytes_per_step_per_rank += cost.bytes_per_step / static_cast<double>(costs.size());
  }
  return result;
}

CollabTrials::Cost CollabTrials::run_task(Communicator& world, const Plan& plan, std::size_t t, StudyResult& result) {
  const StudyKey& key = plan.key;
  const auto task_comm = world.split(static_cast<int>(t), 0, infos_[t].name);
  const auto sharing = world.split(0, 0, "sharing");
  Settings settings = recipe_.tasks[t]->settings;
  // Stitched tasks draw the same batches.
  settings.train.seed = static_cast<std::int64_t>(1000 * key.seed + (has_one_seed(recipe_) ? 0 : t));
  settings.parallel.virtual_workers = std::max<std::int64_t>(1, settings.parallel.virtual_workers);
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  From log(LogLevel::error, log_), warnings(LogLevel::warning, log_);
  const PreparedData& data = tasks_[t]->data;
  LayerParts parts = build_layer_parts(settings, data.pipeline, registry);
  if (plan.features[t] != data.pipeline.features()) parts.model = build_layers(settings.model.layers, {plan.features[t]}, registry);
  const TaskRows& rows = plan.rows[t];
  const bool late = infos_[t].role == TaskRole::target;
  TrainerConfig config = task_config(settings, rows.train->rows(), plan.per_tick[t], plan.ticks, late);
  std::vector<std::string>& metrics = config.train.metrics;
  if (std::find(metrics.begin(), metrics.end(), tasks_[t]->metric) == metrics.end()) metrics.push_back(tasks_[t]->metric);
  std::unique_ptr<CollabTask> task;
  if (plan.shares) {
    CollabOptions o = recipe_.options();
    o.width = key.width, o.noise_seed = static_cast<std::uint64_t>(settings.train.seed);
    o.trunk.seed = key.seed;
    o.plan = {.steps_per_tick = plan.per_tick[t],
              .ticks = plan.ticks.ticks,
              .burn_in_ticks = plan.ticks.burn_in,
              .probe_ticks = ticks_of(recipe_.settings.probe, plan.ticks),
              .sweep_ticks = recipe_.settings.sweep};
    o.guard = has_guard(key.arm, recipe_.settings.guard);
    o.control = control_of(key.arm), o.control_seed = mix(key.seed, 0x636F6E74u) >> 16;
    task = std::make_unique<CollabTask>(CollabTask::Setup{.sharing = *sharing,
                                                          .task = *task_comm,
                                                          .tasks = infos_,
                                                          .number = static_cast<int>(t),
                                                          .rows = rows,
                                                          .own = std::move(parts.model),
                                                          .untrained = build_layers(settings.model.layers, {plan.features[t]}, registry),
                                                          .loss = *parts.loss,
                                                          .device = *device,
                                                          .dtype = parse_dtype(settings.train.dtype),
                                                          .virtual_workers = settings.parallel.virtual_workers,
                                                          .options = o,
                                                          .log = key.arm == "collab" && key.seed == 1 ? &warnings : nullptr});
    for (std::int64_t tick = 0; late && tick < plan.ticks.burn_in; ++tick) task->hook().idle_tick();
  }
  Module& model = task ? static_cast<Module&>(task->model()) : *parts.model;
  TrainerParts trainer_parts{*task_comm,
                             *device,
                             model,
                             *parts.loss,
                             *parts.optimizer,
                             registry,
                             log,
                             task ? task->train() : rows.train,
                             task ? task->validation() : rows.validation,
                             task ? task->test() : rows.test};
  if (task) trainer_parts.aims = task->aims(), trainer_parts.hook = &task->hook();
  Trainer trainer(trainer_parts, config);
  const Summary summary = trainer.run();

  if (task && sharing->rank() == 0) result.affinity = task->affinity();
  TaskScores& scores = result.tasks[t];
  scores.task = infos_[t].name, scores.metric = tasks_[t]->metric;
  if (task) scores.peers_trained_on = task->test_entities_peers_trained_on();
  scores.training_labels = rows.train->rows(), scores.validation_labels = rows.validation ? rows.validation->rows() : 0;
  Scored test;
  test.rows = rows.test->rows();
  std::vector<double> prediction, target, weight, sample_loss;
  Evaluator::predict(
      model, *parts.loss, trainer.params(), *trainer_parts.test,
      [&](std::size_t, std::int64_t, const Values& in, const Tensor& raw, const std::vector<double>& predicted) {
        const auto append = [](std::vector<double>& to, const Tensor& from) {
          with_float_type(from.dtype(), [&]<class T>() { to.insert(to.end(), from.data<T>(), from.data<T>() + from.elements()); });
        };
        test.outputs = raw.row_elements();
        prediction.insert(prediction.end(), predicted.begin(), predicted.end());
        append(target, in.at("target").value());
        const Variable* w = in.find("weight");
        if (w) append(weight, w->value());
        append(sample_loss, parts.loss->forward(Variable(raw), in.at("target").value(), w ? w->value() : Tensor()).sample_loss);
      });
  test.prediction = prediction, test.target = target, test.weight = weight, test.sample_loss = sample_loss;
  scores.entity = test_entities(t);
  score_rows(scores, test, registry);
  const auto steps = static_cast<double>(std::max<std::int64_t>(1, summary.steps));
  return {.step_ms = 1000 * summary.seconds_total / steps,
          .bytes_per_step = static_cast<double>(sharing->bytes_sent() + (task ? task->bytes_sent() : 0)) / steps};
}

}  // namespace chorale
