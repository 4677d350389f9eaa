#include <chorale/launcher/collab/trial_task.hpp>

#include <algorithm>

#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/study_metric.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/train/evaluator.hpp>

namespace chorale {

namespace {

Control control_of(std::string_view arm) {
  if (arm == "matched") return Control::matched;
  if (arm == "shuffled") return Control::shuffled;
  return arm == "untrained" ? Control::untrained : Control::none;
}

/// A control is run without the guard, or that would make it pass by construction.
bool has_guard(std::string_view arm, bool wanted) { return wanted && (arm == "collab" || arm == "matched" || arm == "disjoint"); }

bool has_stitch(const CollabRecipe& recipe) {
  const std::vector<std::string>& all = recipe.settings.strategy;
  return std::find(all.begin(), all.end(), "stitch") != all.end();
}

void append(std::vector<double>& to, const Tensor& from) {
  with_float_type(from.dtype(), [&]<class T>() { to.insert(to.end(), from.data<T>(), from.data<T>() + from.elements()); });
}

class TaskRun {
 public:
  explicit TaskRun(const TrialSeat& seat)
      : at_(seat),
        seat_(seat.seats[seat.place]),
        task_(seat.data.task(seat_.task)),
        infos_(seat.data.infos()),
        comm_(seat.world.split(static_cast<int>(seat.place), 0, infos_[seat.place].name)),
        sharing_(seat.world.split(0, 0, "sharing")),
        settings_(seat.data.recipe().tasks[seat_.task]->settings),
        rows_(rows_of_seat(seat.plan, seat_, seat.place)),
        device_(make_cpu_device()),
        log_(LogLevel::error, seat.log),
        warnings_(LogLevel::warning, seat.log) {
    register_all(registry_);
    for (std::size_t p = 0; p < infos_.size(); ++p) {  // who sits there, under the name and with the weight of the place
      const TaskInfo& who = seat.data.infos()[seat.seats[p].task];
      infos_[p].role = who.role, infos_[p].kinds = who.kinds, infos_[p].folds = who.folds;
    }
    // Stitched tasks draw the same batches.
    settings_.train.seed = static_cast<std::int64_t>(1000 * seat.plan.key.seed + (has_stitch(seat.data.recipe()) ? 0 : seat.place));
    settings_.parallel.virtual_workers = std::max<std::int64_t>(1, settings_.parallel.virtual_workers);
  }

  TrialOutcome run() {
    const TrialPlan& plan = at_.plan;
    LayerParts parts = build_layer_parts(settings_, task_.data.pipeline, registry_);
    if (features() != task_.data.pipeline.features()) parts.model = layers();
    const bool is_late = infos_[at_.place].role == TaskRole::target;
    TrainerConfig config = config_of(is_late);
    std::unique_ptr<CollabTask> task;
    if (plan.shares) {
      task = std::make_unique<CollabTask>(setup(std::move(parts.model), *parts.loss));
      for (std::int64_t tick = 0; is_late && tick < plan.ticks.burn_in; ++tick) task->hook().idle_tick();
    }
    if (seat_.is_frozen) freeze_before_stitch(task->model().own(), config);
    if (starts_from_run()) start(task ? static_cast<Module&>(task->model()) : *parts.model, config);
    Module& model = task ? static_cast<Module&>(task->model()) : *parts.model;
    TrainerParts trainer_parts{*comm_,
                               *device_,
                               model,
                               *parts.loss,
                               *parts.optimizer,
                               registry_,
                               log_,
                               task ? task->train() : rows_.train,
                               task ? task->validation() : rows_.validation,
                               task ? task->test() : rows_.test};
    if (task) trainer_parts.aims = task->aims(), trainer_parts.hook = &task->hook();
    Trainer trainer(trainer_parts, config);
    const Summary summary = trainer.run();
    TrialOutcome out{.scores = scored(model, *parts.loss, trainer.params(), *trainer_parts.test)};
    if (task && sharing_->rank() == 0) out.affinity = task->affinity();
    if (task) out.scores.peers_trained_on = task->test_entities_peers_trained_on();
    const auto steps = static_cast<double>(std::max<std::int64_t>(1, summary.steps));
    out.step_ms = 1000 * summary.seconds_total / steps;
    out.bytes_per_step = static_cast<double>(sharing_->bytes_sent() + (task ? task->bytes_sent() : 0)) / steps;
    return out;
  }

 private:
  /// Not of whoever is to have learnt nothing, nor of a copy that is to differ from its original.
  bool starts_from_run() const {
    return !settings_.train.init_from.empty() && !seat_.has_others_labels && !seat_.is_frozen &&
           !(seat_.is_copy && has_stitch(at_.data.recipe()));
  }

  /// With the weights of train.init_from, which the study's first run says more of.
  void start(const Module& model, TrainerConfig& config) {
    const std::string& arm = at_.plan.key.arm;
    Log& log = at_.plan.key.seed == 1 && (arm == "alone" || arm == "collab") ? at_.log : static_cast<Log&>(log_);
    const Pipeline& pipeline = task_.data.pipeline;
    start_from({.options = settings_.train,
                .model = model,
                .pipeline = pipeline,
                .comm = *comm_,
                .folder = {},
                .log = log,
                .further_features = features() - pipeline.features()},
               config);
  }

  std::int64_t features() const { return at_.plan.features[seat_.task]; }
  std::unique_ptr<Sequential> layers() const { return build_layers(settings_.model.layers, {features()}, registry_); }

  TrainerConfig config_of(bool is_late) const {
    const TrialPlan& plan = at_.plan;
    TrainerConfig config = task_config(settings_, rows_.train->rows(), plan.per_tick[at_.place], plan.ticks, is_late);
    if (plan.shares) config.hold = hold_at_end(final_ticks(at_.data.recipe(), plan.ticks), plan.per_tick[at_.place], plan.ticks, is_late);
    std::vector<std::string>& metrics = config.train.metrics;
    if (std::find(metrics.begin(), metrics.end(), task_.metric) == metrics.end()) metrics.push_back(task_.metric);
    // Copies that draw the same batches would stay one and the same.
    if (seat_.is_copy && has_stitch(at_.data.recipe()))
      config.starting_weights = [seed = mix(static_cast<std::uint64_t>(settings_.train.seed), at_.place + 1),
                                 scheme = config.init](const FlatParams& params) { FlatParams(params).initialise(seed, scheme); };
    return config;
  }

  static void freeze_before_stitch(const Sequential& own, TrainerConfig& config) {
    config.train.unfreeze.clear(), config.train.unfreeze_steps.clear();
    for (const auto& [name, layer] : own.children()) {
      if (name == "stitch") return;
      if (!layer->parameters().empty()) config.train.freeze.push_back(name + ".*");
    }
  }

  CollabTask::Setup setup(std::unique_ptr<Sequential> own, Loss& loss) {
    const TrialPlan& plan = at_.plan;
    const CollabRecipe& recipe = at_.data.recipe();
    CollabOptions o = recipe.options();
    o.width = plan.key.width, o.noise_seed = static_cast<std::uint64_t>(settings_.train.seed);
    o.trunk.seed = plan.key.seed;
    o.trunk.is_given = starts_from_run(), o.trunk.given = settings_.train.init_only;
    o.plan = {.steps_per_tick = plan.per_tick[at_.place],
              .ticks = plan.ticks.ticks,
              .burn_in_ticks = plan.ticks.burn_in,
              .probe_ticks = ticks_of(recipe.settings.probe, plan.ticks),
              .first_tick = infos_[at_.place].role == TaskRole::target ? plan.ticks.burn_in : 0,
              .final_ticks = final_ticks(recipe, plan.ticks),
              .sweep_ticks = recipe.settings.sweep};
    o.guard = has_guard(plan.key.arm, recipe.settings.guard);
    o.control = control_of(plan.key.arm), o.control_seed = mix(plan.key.seed, 0x636F6E74u) >> 16;
    return {
        .sharing = *sharing_,
        .task = *comm_,
        .tasks = infos_,
        .number = static_cast<int>(at_.place),
        .rows = rows_,
        .own = std::move(own),
        .another = [this] { return layers(); },
        .loss = loss,
        .device = *device_,
        .dtype = parse_dtype(settings_.train.dtype),
        .virtual_workers = settings_.parallel.virtual_workers,
        .options = o,
        .log = plan.key.arm == "collab" && plan.key.seed == 1 ? &warnings_ : nullptr,
        .place_of = [this](std::size_t place, const std::string& kind) { return at_.data.recipe().place_of(at_.seats[place].task, kind); }};
  }

  TaskScores scored(Module& model, Loss& loss, FlatParams& params, const Dataset& rows) const {
    Scored test;
    test.rows = rows.rows();
    std::vector<double> prediction, target, weight, sample_loss;
    Evaluator::predict(model, loss, params, rows,
                       [&](std::size_t, std::int64_t, const Values& in, const Tensor& raw, const std::vector<double>& predicted) {
                         test.outputs = raw.row_elements();
                         prediction.insert(prediction.end(), predicted.begin(), predicted.end());
                         append(target, in.at("target").value());
                         const Variable* w = in.find("weight");
                         if (w) append(weight, w->value());
                         append(sample_loss, loss.forward(Variable(raw), in.at("target").value(), w ? w->value() : Tensor()).sample_loss);
                       });
    for (std::vector<double>* values : {&prediction, &target, &weight, &sample_loss}) restore_order(rows, *values);
    test.prediction = prediction, test.target = target, test.weight = weight, test.sample_loss = sample_loss;
    TaskScores out{.task = infos_[at_.place].name, .metric = task_.metric};
    out.training_labels = rows_.train->rows(), out.validation_labels = rows_.validation ? rows_.validation->rows() : 0;
    out.entity = task_.test_entities();
    score_rows(out, test, registry_);
    return out;
  }

  /// All arms score rows in the order of the table's part, in whatever order they stood.
  void restore_order(const Dataset& rows, std::vector<double>& values) const {
    if (!seat_.meets_other_entities) return;
    const auto count = static_cast<std::size_t>(rows.rows());
    const std::size_t each = values.size() / count;
    std::map<std::int64_t, std::size_t> place_of;
    for (const std::int64_t row : task_.data.test->row_numbers()) place_of.emplace(row, place_of.size());
    std::vector<double> out(values.size());
    for (std::size_t i = 0; i < count; ++i)
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * each), each,
                  out.begin() + static_cast<std::ptrdiff_t>(place_of.at(rows.row_id(static_cast<std::int64_t>(i))) * each));
    values = std::move(out);
  }

  const TrialSeat& at_;
  const Seat seat_;
  const TrialTask& task_;
  std::vector<TaskInfo> infos_;
  std::unique_ptr<Communicator> comm_, sharing_;
  Settings settings_;
  TaskRows rows_;
  Registry registry_;
  std::unique_ptr<Device> device_;
  GraveLog log_, warnings_;
};

}  // namespace

TrialOutcome run_trial_task(const TrialSeat& seat) { return TaskRun(seat).run(); }

}  // namespace chorale
