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
#include <chorale/launcher/collab/collab_summary.hpp>
#include <chorale/launcher/collab/lockstep.hpp>
#include <chorale/launcher/collab/sharing_log.hpp>
#include <chorale/launcher/collab/steps_per_tick.hpp>
#include <chorale/launcher/collab/task_config.hpp>
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
constexpr double kLongestTickS = 5;

std::vector<std::string> names_of(const std::vector<TaskInfo>& tasks) {
  std::vector<std::string> out;
  for (const TaskInfo& task : tasks) out.push_back(task.name);
  return out;
}

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
        log_of_ticks_(folder_ / "sharing.jsonl", names_of(infos_)),
        begins_late_(infos_[number_].role == TaskRole::target),
        checkpoints_(checkpoint_setup()) {
    sharing_->set_timeout_ms(static_cast<std::int64_t>(settings_.watchdog.seconds * 1000));
  }

  int train() {
    claim_together(world_, run_, settings_.watchdog.seconds, session_.log);
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
    on_saved_ = [this, &task](std::int64_t tick, bool is_good) {
      checkpoints_.commit(position_at(tick, task.hook().steps()), task, is_good);
    };
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
    while (begins_late_ && task.hook().ticks() < ticks_.burn_in) {
      task.hook().idle_tick();
      if (task.hook().stop() != Stop::none) return finish(task, stopped_before_start(task.hook().stop()), seconds());
    }
    Trainer trainer(trainer_parts(task, parts), config(false));
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
            .tasks = names_of(infos_),
            .task_of = task_of_,
            .retention = {.last = settings_.checkpoint.keep_last},
            .still_ours = [this] { run_.must_be_ours(); },
            .log = session_.log};
  }

  /// Collective over all tasks.
  CollabPosition position_at(std::int64_t tick, std::int64_t own_steps) const {
    CollabPosition out{.tick = tick,
                       .burn_in = ticks_.burn_in,
                       .steps_per_tick = per_tick_,
                       .steps = {},
                       .virtual_workers = workers_,
                       .identity = recipe_.identity()};
    for (const double steps : by_task(static_cast<double>(own_steps))) out.steps.push_back(std::llround(steps));
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

  /// Steps between ticks and ticks of the run, the same on all ranks.
  void plan() {
    std::vector<std::int64_t> workers;
    const std::int64_t asked = settings_.parallel.virtual_workers;
    for (const double w : by_task(static_cast<double>(asked > 0 ? asked : comm_->size()))) workers.push_back(std::llround(w));
    workers_ = resumed_ ? resumed_->virtual_workers : workers;
    per_tick_ = recipe_.pinned_steps();
    if (resumed_) check_resumed();
    if (resumed_) per_tick_ = resumed_->steps_per_tick;
    if (per_tick_.empty()) {
      const double ms = trial_step_ms();
      const double limit = std::min(kLongestTickS, settings_.watchdog.seconds / 4);
      const std::vector<double> times = by_task(ms), limits = by_task(limit);
      const double shortest = *std::min_element(limits.begin(), limits.end());
      const bool waits = goes_in_lockstep(recipe_);
      const std::vector<double> paces = waits ? std::vector<double>(times.size(), *std::max_element(times.begin(), times.end())) : times;
      per_tick_ = steps_per_tick(recipe_.settings.every, paces, shortest);
      if (waits) say_waiting(times);
      const std::int64_t most = *std::max_element(per_tick_.begin(), per_tick_.end());
      if (world_.rank() == 0 && most < recipe_.settings.every)
        session_.log.warning(fmt::format("collab.every = {} would make a tick last longer than {:.1f} s; it is lowered to {}",
                                         recipe_.settings.every, shortest, most));
      if (world_.rank() == 0) session_.log.info("collab.steps_per_tick = " + steps_text());
    }
    std::vector<std::int64_t> steps;
    for (const double s : by_task(static_cast<double>(own_steps(settings_.train, rows_.train->rows())))) steps.push_back(std::llround(s));
    std::vector<bool> late;
    for (const TaskInfo& info : infos_) late.push_back(info.role == TaskRole::target);
    ticks_ = count_ticks(steps, per_tick_, late, recipe_.settings.burn_in);
    if (resumed_) ticks_.burn_in = resumed_->burn_in;
    if (ticks_.ticks == 0) throw UsageError("no task has a step to make; give train.epochs or train.steps");
  }

  void check_resumed() const {
    for (const auto& [key, value] : recipe_.identity()) {
      const auto old = resumed_->identity.find(key);
      if (old != resumed_->identity.end() && old->second != value)
        throw UsageError("--resume: " + key + " is '" + value + "', the checkpoint was made with '" + old->second +
                         "'; keep it, or start a new run");
    }
    if (!per_tick_.empty() && per_tick_ != resumed_->steps_per_tick)
      throw UsageError("--resume: collab.steps_per_tick differs from the checkpoint's; keep it, or leave it out");
  }

  void say_waiting(const std::vector<double>& step_ms) {
    const std::string text = waiting_text(names_of(infos_), step_ms);
    if (world_.rank() == 0)
      session_.log.info("lock-step: every step waits for all tasks; " + (text.empty() ? "they are equally fast" : text));
  }

  std::string steps_text() const {
    std::string text;
    for (std::size_t t = 0; t < per_tick_.size(); ++t) text += fmt::format("{}{}:{}", t ? " " : "", infos_[t].name, per_tick_[t]);
    return text;
  }

  /// A number of each task, from its first rank.
  std::vector<double> by_task(double mine) const {
    std::vector<double> all(static_cast<std::size_t>(world_.size()));
    const std::vector<std::int64_t> one(all.size(), 1);
    sharing_->all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(all)), one, "plan").wait();
    std::vector<double> out(infos_.size());
    for (std::size_t r = all.size(); r-- > 0;) out[static_cast<std::size_t>(task_of_[r])] = all[r];
    return out;
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
    TrainerConfig config = task_config(settings_, rows_.train->rows(), trial ? 1 : per_tick_[number_], ticks_, begins_late_);
    config.identity = recipe_.tasks[number_]->identity();
    config.identity["data"] = data_.identity();
    if (trial) {
      config.train.steps = kTrialSteps, config.train.early_stop = {}, config.final_evaluation = false;
      config.train.freeze = config.train.unfreeze = config.train.unfreeze_steps = config.lr_factors = {};  // of the model that shares
      return config;
    }
    config.parallel.virtual_workers = workers_[number_];
    if (recipe_.at_end(number_) == AtEnd::serve)
      config.train.steps = (last_tick() - first_tick()) * per_tick_[number_], config.stops_early = true;
    config.checkpoint = {.every_epochs = 0, .keep_last = 1000000, .background = false};  // ticks decide, and what they name stays
    config.checkpoint_folder = checkpoints_.folder_of(number_).string();
    config.resume = resumed_ && resumed_->steps[number_] > 0;
    config.still_ours = [this] { run_.must_be_ours(); };
    config.texts = {{"pipeline.json", data_.pipeline.to_json()}, {"recipe.ini", resolved_recipe(recipe_.tasks[number_]->table)}};
    if (world_.watch().faults()) config.at_save = [this](SavePoint point) { world_.watch().at("save:" + std::string(name(point))); };
    return config;
  }

  std::int64_t first_tick() const { return begins_late_ ? ticks_.burn_in : 0; }
  /// Of the task's own steps.
  std::int64_t last_tick() const {
    const std::int64_t k = per_tick_[number_], own = (own_steps(settings_.train, rows_.train->rows()) + k - 1) / k;
    return std::min(ticks_.ticks, first_tick() + std::max<std::int64_t>(1, own));
  }

  std::int64_t patience() const { return EarlyStopping(settings_.train.early_stop, session_.registry).patience(); }

  CollabTask::Setup setup(std::unique_ptr<Sequential> own, Loss& loss) {
    CollabOptions o = recipe_.options();
    o.guard = recipe_.settings.guard;
    o.trunk.seed = static_cast<std::uint64_t>(recipe_.tasks[0]->settings.train.seed);
    o.plan = {.steps_per_tick = per_tick_[number_],
              .ticks = ticks_.ticks,
              .burn_in_ticks = ticks_.burn_in,
              .probe_ticks = ticks_of(recipe_.settings.probe, ticks_),
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
            .loss = loss,
            .device = *session_.device,
            .dtype = parse_dtype(settings_.train.dtype),
            .virtual_workers = workers_[number_],
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
    Json mine = Json::parse(summary_json(summary));
    mine["steps_per_tick"] = per_tick_[number_];
    mine["ranks"] = comm_->size();
    mine["role"] = std::string(name(infos_[number_].role));
    mine["sharing_seconds"] = hook.seconds_in_ticks() - hook.seconds_in_sweeps();
    mine["sweep_seconds"] = hook.seconds_in_sweeps();
    mine["training_seconds"] = seconds;
    mine["sharing_bytes"] = sharing_->bytes_sent() + task.bytes_sent();
    mine["checkpoints"]["ticks"] = checkpoints_.committed();
    if (const std::int64_t n = task.test_entities_peers_trained_on(); n >= 0) mine["test_entities_peers_trained_on"] = n;
    mine["leaks"] = Json::array();
    for (const Leak& leak : task.leaks()) {
      const FetchSource& source = task.fetched()->sources()[static_cast<std::size_t>(leak.source)];
      mine["leaks"].push_back({{"peer", task.store()->tasks()[static_cast<std::size_t>(source.publisher)]},
                               {"kind", source.kind},
                               {"of", leak.component < 0 ? Json("presence") : Json(leak.component)},
                               {"correlation", leak.correlation},
                               {"rows", leak.rows}});
    }
    mine["guard"] = Json::array();
    for (const GuardEvent& e : hook.guard_events()) {
      const FetchSource& source = task.fetched()->sources()[static_cast<std::size_t>(e.source)];
      mine["guard"].push_back({{"validation", e.validation},
                               {"peer", task.store()->tasks()[static_cast<std::size_t>(source.publisher)]},
                               {"kind", source.kind},
                               {"event", e.opens ? "opens" : "closes"},
                               {"benefit", e.benefit.mean},
                               {"standard_error", e.benefit.error},
                               {"entities", e.benefit.entities}});
    }
    const std::string text = mine.dump();
    const auto all = all_gather_bytes(*sharing_, std::as_bytes(std::span(text)), "summaries");
    if (world_.rank() == 0) {
      std::vector<Json> ranks;
      for (const auto& bytes : all) ranks.push_back(Json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
      Json whole = whole_summary(ranks, names_of(infos_), task_of_);
      whole["status"] = summary.status, whole["ticks"] = hook.ticks();
      whole["affinity"] = affinity_json(names_of(infos_), task.affinity());
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
  std::vector<std::int64_t> workers_;  // virtual ones, by task
  PreparedData data_;
  TaskRows rows_;
  std::vector<std::int64_t> per_tick_;
  TickCount ticks_;
};

}  // namespace

int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options) {
  return CollabRank(world, recipe, run, last, options).train();
}

}  // namespace chorale
