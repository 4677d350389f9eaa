#include <chorale/launcher/collab/collab_run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <nlohmann/json.hpp>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/collab/collab_pace.hpp>
#include <chorale/launcher/collab/collab_summary.hpp>
#include <chorale/launcher/collab/lockstep.hpp>
#include <chorale/launcher/collab/sharing_log.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/training_start.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/collab/collab_checkpoint.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::int64_t kTrialSteps = 24;  // of the measurement before the first step

/// A rank's view of the run.
class CollabRank {
 public:
  CollabRank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options)
      : world_(world),
        recipe_(recipe),
        run_(run),
        last_(last),
        folder_(text_from(world, 0, run.path().string(), "run directory")),
        options_(options),
        infos_(recipe.infos(world.size())),
        task_of_(lay_out(infos_, world.size())),
        number_(static_cast<std::size_t>(task_of_[static_cast<std::size_t>(world.rank())])),
        settings_(recipe.tasks[number_]->settings),
        comm_(world.split(static_cast<int>(number_), 0, infos_[number_].name)),
        sharing_(world.split(0, 0, "sharing")),
        session_(*comm_, settings_.parallel, settings_.watchdog),
        task_folder_(folder_ / "tasks" / infos_[number_].name),
        log_of_ticks_(folder_ / "sharing.jsonl", task_names(infos_)),
        begins_late_(infos_[number_].role == TaskRole::target),
        checkpoints_(checkpoint_setup()) {
    sharing_->set_timeout_ms(static_cast<std::int64_t>(settings_.watchdog.seconds * 1000));
  }

  int train() {
    claim_together(world_, run_, folder_, last_, settings_.watchdog.seconds, session_.log);
    read_data();
    make_folder();
    if (options_.resume) resumed_ = checkpoints_.choose();
    if (options_.resume && !resumed_ && world_.rank() == 0)
      session_.log.warning("there is no checkpoint to resume from; training starts at tick 0");
    if (world_.rank() == 0) log_of_ticks_.go_on_after(resumed_ ? resumed_->tick : -1);
    plan();
    LayerParts parts = build();
    CollabTask task(setup(std::move(parts.model), *parts.loss));
    if (resumed_) checkpoints_.restore(*resumed_, task);
    on_saved_ = [this, &task](std::int64_t tick, bool is_good) { checkpoints_.commit(position(tick, task.hook().steps()), task, is_good); };
    RunFiles files(task_folder_, session_.log, [this] { run_.must_be_ours(); });
    try {
      return train(task, parts, files);
    } catch (...) {
      const RankResult failure = describe_failure(world_);
      world_.watch().dump(failure.error, false);
      session_.log.note(LogLevel::error, failure.error);
      if (comm_->rank() == 0) files.failed();
      throw;
    }
  }

 private:
  int train(CollabTask& task, const LayerParts& parts, RunFiles& files) {
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    while (begins_late_ && task.hook().ticks() < pace_.ticks.burn_in) {
      task.hook().idle_tick();
      if (task.hook().stop() != Stop::none) return finish(task, stopped_before_start(task.hook().stop()), seconds());
    }
    TrainerConfig config = this->config(false);
    init_ = start_from({settings_.train, task.model(), data_.pipeline, *comm_, task_folder_, session_.log}, config);
    Trainer trainer(trainer_parts(task, parts), config);
    keep_start(init_, *comm_, task_folder_);
    if (const std::int64_t wanted = resumed_ ? resumed_->steps[number_] : 0; trainer.step() != wanted)
      throw CheckpointError(
          fmt::format("task {} has a checkpoint of step {}, the tick wants step {}", infos_[number_].name, trainer.step(), wanted));
    Progress progress(settings_table(recipe_.table));
    if (world_.rank() == 0 && !options_.quiet) trainer.add(progress);
    trainer.add(files);
    Summary summary = trainer.run();
    if (const Stop stop = task.hook().stop(); stop != Stop::none) summary.status = status_of(stop);  // heard when its own steps were made
    say_unmet_faults(world_, session_.log);
    return finish(task, summary, seconds());
  }

  static std::string status_of(Stop stop) { return stop == Stop::interrupt ? "interrupted" : "checkpointed"; }

  Summary stopped_before_start(Stop stop) const {
    Summary out;
    out.status = status_of(stop);
    out.world_size = comm_->size(), out.version = CHORALE_VERSION;
    return out;
  }

  CollabCheckpoints::Setup checkpoint_setup() {
    return {.sharing = *sharing_,
            .run = folder_,
            .tasks = task_names(infos_),
            .task_of = task_of_,
            .retention = {.last = settings_.checkpoint.keep_last},
            .still_ours = [this] { run_.must_be_ours(); },
            .log = session_.log};
  }

  /// Collective over all tasks.
  CollabPosition position(std::int64_t tick, std::int64_t own_steps) const {
    CollabPosition out = position_at(tick, pace_, recipe_.identity());
    for (const double steps : by_task(*sharing_, task_of_, static_cast<double>(own_steps))) out.steps.push_back(std::llround(steps));
    return out;
  }

  void read_data() {
    world_.watch().enter(Activity::reading, "data");
    data_ = prepare_data(settings_.data, settings_.train, *comm_, session_.log, recipe_.request(number_));
    world_.barrier("data of all tasks").wait();  // what one task refuses leaves no folder behind
    world_.watch().enter(Activity::starting, "training");
    rows_ = task_rows(data_);
  }

  void make_folder() {
    if (world_.rank() == 0) run_.start(recipe_.resolved());
    begin_last_word(world_, run_, folder_, last_);
    if (comm_->rank() == 0) {
      std::filesystem::create_directories(task_folder_ / "logs");
      write_file_atomically(task_folder_ / "recipe.resolved.ini", resolved_recipe(recipe_.tasks[number_]->table));
      write_file_atomically(task_folder_ / "pipeline.json", data_.pipeline.to_json());
    }
    comm_->barrier("folder of the task").wait();
    session_.log.open(task_folder_);
    world_.watch().recorder().open(folder_.string(), world_.rank(), world_.size());
  }

  LayerParts build() const { return build_layer_parts(settings_, data_.pipeline, session_.registry); }

  void plan() {
    const std::int64_t asked = settings_.parallel.virtual_workers;
    pace_ = agree_on_pace({.world = world_,
                           .sharing = *sharing_,
                           .recipe = recipe_,
                           .infos = infos_,
                           .task_of = task_of_,
                           .resumed = resumed_ ? &*resumed_ : nullptr,
                           .log = session_.log,
                           .workers = asked > 0 ? asked : comm_->size(),
                           .steps = own_steps(settings_.train, rows_.train->rows()),
                           .longest_tick_s = settings_.watchdog.seconds / 4,
                           .trial_step_ms = [this] { return trial_step_ms(); }});
  }

  /// On copies that are thrown away. All tasks measure at once, as they will train.
  double trial_step_ms() {
    const LayerParts parts = build();
    TrainerConfig config = this->config(true);
    Trainer trainer(
        {*comm_, *session_.device, *parts.model, *parts.loss, *parts.optimizer, session_.registry, session_.log, rows_.train, {}, {}},
        config);
    return std::max(1e-3, trainer.run().step_ms_p50);
  }

  TrainerConfig config(bool trial) const {
    TrainerConfig config = task_config(settings_, rows_.train->rows(), trial ? 1 : pace_.per_tick[number_], pace_.ticks, begins_late_);
    config.identity = recipe_.tasks[number_]->identity();
    config.identity["data"] = data_.identity();
    if (trial) {
      config.train.steps = kTrialSteps, config.train.early_stop = {}, config.final_evaluation = false;
      config.train.freeze = config.train.unfreeze = config.train.unfreeze_steps = config.lr_factors = {};  // of the model that shares
      return config;
    }
    config.parallel.virtual_workers = pace_.workers[number_];
    if (recipe_.at_end(number_) == AtEnd::serve)
      config.train.steps = (last_tick() - first_tick()) * pace_.per_tick[number_], config.stops_early = true;
    config.checkpoint = {.every_epochs = 0, .keep_last = 1000000, .background = false};  // ticks decide, and what they name stays
    config.checkpoint_folder = checkpoints_.folder_of(number_).string();
    config.resume = resumed_ && resumed_->steps[number_] > 0;
    config.still_ours = [this] { run_.must_be_ours(); };
    config.texts = {{"pipeline.json", data_.pipeline.to_json()}, {"recipe.ini", resolved_recipe(recipe_.tasks[number_]->table)}};
    if (world_.watch().faults()) config.at_save = [this](SavePoint point) { world_.watch().at("save:" + std::string(name(point))); };
    return config;
  }

  std::int64_t first_tick() const { return begins_late_ ? pace_.ticks.burn_in : 0; }
  /// Of the task's own steps.
  std::int64_t last_tick() const {
    const std::int64_t k = pace_.per_tick[number_], own = (own_steps(settings_.train, rows_.train->rows()) + k - 1) / k;
    return std::min(pace_.ticks.ticks, first_tick() + std::max<std::int64_t>(1, own));
  }

  std::int64_t patience() const { return EarlyStopping(settings_.train.early_stop, session_.registry).patience(); }

  CollabTask::Setup setup(std::unique_ptr<Sequential> own, Loss& loss) {
    CollabOptions o = recipe_.options();
    o.guard = recipe_.settings.guard;
    o.noise_seed = static_cast<std::uint64_t>(settings_.train.seed);
    o.trunk.seed = static_cast<std::uint64_t>(recipe_.tasks[0]->settings.train.seed);
    o.plan = {.steps_per_tick = pace_.per_tick[number_],
              .ticks = pace_.ticks.ticks,
              .burn_in_ticks = pace_.ticks.burn_in,
              .probe_ticks = ticks_of(recipe_.settings.probe, pace_.ticks),
              .first_tick = first_tick(),
              .save_ticks = recipe_.settings.checkpoint_every,
              .sweep_ticks = recipe_.settings.sweep,
              .at_end = recipe_.at_end(number_),
              .last_tick = last_tick(),
              .patience = patience()};
    return {.sharing = *sharing_,
            .task = *comm_,
            .tasks = infos_,
            .number = static_cast<int>(number_),
            .rows = rows_,
            .own = std::move(own),
            .another = [this] { return build_layers(settings_.model.layers, {data_.pipeline.features()}, session_.registry); },
            .loss = loss,
            .device = *session_.device,
            .dtype = parse_dtype(settings_.train.dtype),
            .virtual_workers = pace_.workers[number_],
            .options = o,
            .wants_stop = requested_stop,
            .on_saved = [this](std::int64_t tick, bool is_good) { on_saved_(tick, is_good); },
            .on_news =
                world_.rank() == 0 ? [this](const TickNews& news) { log_of_ticks_.write(news); } : std::function<void(const TickNews&)>(),
            .log = &session_.log};
  }

  TrainerParts trainer_parts(CollabTask& task, const LayerParts& parts) {
    TrainerParts out{*comm_,       *session_.device, task.model(),      *parts.loss, *parts.optimizer, session_.registry,
                     session_.log, task.train(),     task.validation(), task.test()};
    out.aims = task.aims();
    out.hook = &task.hook();
    return out;
  }

  /// What each task came to, in one summary; the run's exit code.
  int finish(CollabTask& task, const Summary& summary, double seconds) {
    const int code = exit_code_of(summary.status);
    const Sharing& hook = task.hook();
    Json mine = task_summary(task, summary, infos_[number_].role,
                             {.seconds = seconds,
                              .steps_per_tick = pace_.per_tick[number_],
                              .ranks = comm_->size(),
                              .bytes = sharing_->bytes_sent() + task.bytes_sent(),
                              .ticks_saved = checkpoints_.committed()});
    if (!init_.empty()) mine["init_from"] = Json::parse(init_);
    const std::string text = mine.dump();
    const auto all = all_gather_bytes(*sharing_, std::as_bytes(std::span(text)), "summaries");
    if (world_.rank() == 0) {
      std::vector<Json> ranks;
      for (const auto& bytes : all) ranks.push_back(Json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
      Json whole = whole_summary(ranks, task_names(infos_), task_of_);
      whole["status"] = summary.status, whole["ticks"] = hook.ticks();
      whole["affinity"] = affinity_json(task_names(infos_), task.affinity());
      write_file_atomically(folder_ / "summary.json", whole.dump(2) + "\n");
      run_.end({.code = code, .cause = summary.status, .step = summary.steps});
      if (!options_.quiet) say_results(whole, folder_);
    }
    world_.barrier("end of run").wait();
    return code;
  }

  Communicator& world_;
  const CollabRecipe& recipe_;
  RunDirectory& run_;
  LastWord& last_;
  std::filesystem::path folder_;
  CollabRunOptions options_;
  std::vector<TaskInfo> infos_;
  std::vector<int> task_of_;
  std::size_t number_;
  const Settings& settings_;
  std::unique_ptr<Communicator> comm_, sharing_;
  Session session_;
  std::filesystem::path task_folder_;
  SharingLog log_of_ticks_;
  bool begins_late_;
  CollabCheckpoints checkpoints_;
  std::optional<CollabPosition> resumed_;
  std::function<void(std::int64_t, bool)> on_saved_;
  PreparedData data_;
  TaskRows rows_;
  CollabPace pace_;
  std::string init_;  // what weights the task started with; empty: those drawn
};

}  // namespace

int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options) {
  return CollabRank(world, recipe, run, last, options).train();
}

}  // namespace chorale
