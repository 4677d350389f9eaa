#include <chorale/launcher/collab/collab_run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/collab/steps_per_tick.hpp>
#include <chorale/launcher/model_parts.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/run_files.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::int64_t kTrialSteps = 24;  // of the measurement before the first step
constexpr double kLongestTickS = 5;

/// A rank's view of the run.
class CollabRank {
 public:
  CollabRank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, const std::filesystem::path& folder,
             const CollabRunOptions& options)
      : world_(world),
        recipe_(recipe),
        run_(run),
        folder_(folder),
        options_(options),
        infos_(recipe.infos(world.size())),
        number_(static_cast<std::size_t>(lay_out(infos_, world.size())[static_cast<std::size_t>(world.rank())])),
        settings_(recipe.tasks[number_]->settings),
        comm_(world.split(static_cast<int>(number_), 0, infos_[number_].name)),
        sharing_(world.split(0, 0, "sharing")),
        session_(*comm_, settings_.parallel, settings_.watchdog),
        task_folder_(folder / "tasks" / infos_[number_].name) {
    sharing_->set_timeout_ms(static_cast<std::int64_t>(settings_.watchdog.seconds * 1000));
  }

  int train() {
    read_data();
    make_folder();
    plan();
    const std::int64_t workers = virtual_workers();
    ModelParts parts = build();
    CollabTask task(setup(std::move(parts.model), workers));
    TrainerConfig config = this->config(false);
    config.stop_requested = [&task] { return task.hook().stops() ? Stop::interrupt : Stop::none; };
    const bool starts_late = infos_[number_].role == TaskRole::target;
    for (std::int64_t tick = 0; starts_late && tick < ticks_.burn_in; ++tick) task.hook().idle_tick();
    Trainer trainer(trainer_parts(task, parts), config);
    Progress progress(settings_table(recipe_.table));
    RunFiles files(task_folder_, session_.log, [this] { run_.must_be_ours(); });
    if (world_.rank() == 0 && !options_.quiet) trainer.add(progress);
    trainer.add(files);
    const auto start = std::chrono::steady_clock::now();
    const Summary summary = trainer.run();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return finish(task, summary, seconds);
  }

 private:
  void read_data() {
    world_.watch().enter(Activity::reading, "data");
    data_ = prepare_data(settings_.data, settings_.train, *comm_, session_.log, recipe_.request(number_));
    world_.watch().enter(Activity::starting, "training");
    std::vector<std::int64_t> every(static_cast<std::size_t>(data_.rows));
    std::iota(every.begin(), every.end(), std::int64_t{0});
    rows_ = {.train = data_.train,
             .validation = data_.validation,
             .test = data_.test,
             .all = std::make_shared<MatrixDataset>(data_.train->matrix(), std::move(every)),
             .entities = data_.entities};
  }

  void make_folder() {
    if (world_.rank() == 0) run_.start(recipe_.resolved());
    world_.barrier("run directory").wait();
    if (comm_->rank() == 0) {
      std::filesystem::create_directories(task_folder_ / "logs");
      write_file_atomically(task_folder_ / "recipe.resolved.ini", resolved_recipe(recipe_.tasks[number_]->table));
      write_file_atomically(task_folder_ / "pipeline.json", data_.pipeline.to_json());
    }
    comm_->barrier("folder of the task").wait();
    session_.log.open(task_folder_);
    world_.watch().recorder().open(folder_.string(), world_.rank(), world_.size());
  }

  std::int64_t virtual_workers() const {
    return settings_.parallel.virtual_workers > 0 ? settings_.parallel.virtual_workers : comm_->size();
  }

  ModelParts build() const { return build_parts(settings_, data_.pipeline, session_.registry); }

  std::int64_t own_steps() const {
    const std::int64_t batch = settings_.train.batch, per_epoch = (rows_.train->rows() + batch - 1) / batch;
    return settings_.train.steps > 0 ? settings_.train.steps : settings_.train.epochs * per_epoch;
  }

  /// Steps between ticks and ticks of the run, the same on all ranks.
  void plan() {
    per_tick_ = recipe_.pinned_steps();
    if (per_tick_.empty()) {
      const double ms = trial_step_ms();
      const double limit = std::min(kLongestTickS, settings_.watchdog.seconds / 4);
      const std::vector<double> times = by_task(ms), limits = by_task(limit);
      const double shortest = *std::min_element(limits.begin(), limits.end());
      per_tick_ = steps_per_tick(recipe_.settings.every, times, shortest);
      const std::int64_t most = *std::max_element(per_tick_.begin(), per_tick_.end());
      if (world_.rank() == 0 && most < recipe_.settings.every)
        session_.log.warning(fmt::format("collab.every = {} would make a tick last longer than {:.1f} s; it is lowered to {}",
                                         recipe_.settings.every, shortest, most));
      if (world_.rank() == 0) session_.log.info("collab.steps_per_tick = " + steps_text());
    }
    std::vector<std::int64_t> steps;
    for (const double s : by_task(static_cast<double>(own_steps()))) steps.push_back(std::llround(s));
    std::vector<bool> late;
    for (const TaskInfo& info : infos_) late.push_back(info.role == TaskRole::target);
    ticks_ = count_ticks(steps, per_tick_, late, recipe_.settings.burn_in);
    if (ticks_.ticks == 0) throw UsageError("no task has a step to make; give train.epochs or train.steps");
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
    const std::vector<int> task_of = lay_out(infos_, world_.size());
    std::vector<double> out(infos_.size());
    for (std::size_t r = all.size(); r-- > 0;) out[static_cast<std::size_t>(task_of[r])] = all[r];
    return out;
  }

  /// On copies that are thrown away. All tasks measure at once, as they will train.
  double trial_step_ms() {
    const ModelParts parts = build();
    TrainerConfig config = this->config(true);
    Trainer trainer(
        {*comm_, *session_.device, *parts.model, *parts.loss, *parts.optimizer, session_.registry, session_.log, rows_.train, {}, {}},
        config);
    return std::max(1e-3, trainer.run().step_ms_p50);
  }

  TrainerConfig config(bool trial) const {
    TrainerConfig config;
    config.train = settings_.train, config.parallel = settings_.parallel, config.watchdog = settings_.watchdog;
    config.init = settings_.model.init;
    config.identity = recipe_.tasks[number_]->identity();
    config.identity["data"] = data_.identity();
    if (trial) {
      config.train.steps = kTrialSteps, config.train.early_stop = {}, config.final_evaluation = false;
      return config;
    }
    const std::int64_t k = per_tick_[number_], batch = settings_.train.batch, per_epoch = (rows_.train->rows() + batch - 1) / batch;
    const std::int64_t wanted =
        settings_.train.evaluate_every > 0 ? settings_.train.evaluate_every : settings_.train.evaluate_every_epochs * per_epoch;
    config.train.evaluate_every = std::max<std::int64_t>(1, (wanted + k / 2) / k) * k;  // at ticks
    config.train.steps = (ticks_.ticks - (infos_[number_].role == TaskRole::target ? ticks_.burn_in : 0)) * k;
    config.stops_early = false;
    return config;
  }

  CollabTask::Setup setup(std::unique_ptr<Sequential> own, std::int64_t workers) {
    CollabOptions o;
    o.width = recipe_.settings.width, o.keep = 1 - recipe_.settings.beta;
    o.plan = {.steps_per_tick = per_tick_[number_],
              .ticks = ticks_.ticks,
              .burn_in_ticks = ticks_.burn_in,
              .sweep_ticks = recipe_.settings.sweep};
    return {.sharing = *sharing_,
            .task = *comm_,
            .tasks = infos_,
            .number = static_cast<int>(number_),
            .rows = rows_,
            .own = std::move(own),
            .device = *session_.device,
            .dtype = parse_dtype(settings_.train.dtype),
            .virtual_workers = workers,
            .options = o,
            .wants_stop = [] { return requested_stop() != Stop::none; },
            .log = &session_.log};
  }

  TrainerParts trainer_parts(CollabTask& task, const ModelParts& parts) {
    TrainerParts out{*comm_,       *session_.device, task.model(),      *parts.loss, *parts.optimizer, session_.registry,
                     session_.log, task.train(),     task.validation(), task.test()};
    out.aims = task.aims();
    out.hook = &task.hook();
    return out;
  }

  /// What each task came to, in one summary; the run's exit code.
  int finish(CollabTask& task, const Summary& summary, double seconds) {
    const bool stopped = summary.status == "interrupted" || summary.status == "checkpointed";
    const Sharing& hook = task.hook();
    Json mine = Json::parse(summary_json(summary));
    mine["steps_per_tick"] = per_tick_[number_];
    mine["ranks"] = comm_->size();
    mine["role"] = std::string(name(infos_[number_].role));
    mine["sharing_seconds"] = hook.seconds_in_ticks() - hook.seconds_in_sweeps();
    mine["sweep_seconds"] = hook.seconds_in_sweeps();
    mine["training_seconds"] = seconds;
    mine["sharing_bytes"] = sharing_->bytes_sent();
    const std::string text = mine.dump();
    const auto all = all_gather_bytes(*sharing_, std::as_bytes(std::span(text)), "summaries");
    if (world_.rank() == 0) {
      write_file_atomically(folder_ / "summary.json", whole_summary(all, hook.ticks(), summary.status).dump(2) + "\n");
      run_.end({.code = stopped ? static_cast<int>(ExitCode::interrupted) : 0, .cause = summary.status, .step = summary.steps});
      if (!options_.quiet) say_results(all);
    }
    world_.barrier("end of run").wait();
    return stopped ? static_cast<int>(ExitCode::interrupted) : 0;
  }

  Json whole_summary(const std::vector<std::vector<std::byte>>& all, std::int64_t ticks, const std::string& status) const {
    Json out = {{"status", status}, {"world_size", world_.size()}, {"ticks", ticks}};
    const std::vector<int> task_of = lay_out(infos_, world_.size());
    double bytes = 0, sharing = 0, sweeps = 0, total = 0;
    for (std::size_t r = 0; r < all.size(); ++r) {
      const auto t = static_cast<std::size_t>(task_of[r]);
      Json one = Json::parse(std::string(reinterpret_cast<const char*>(all[r].data()), all[r].size()));
      bytes += one["sharing_bytes"].get<double>() / std::max(1.0, one["steps"].get<double>());
      sharing += one["sharing_seconds"].get<double>(), sweeps += one["sweep_seconds"].get<double>();
      total += one["training_seconds"].get<double>();
      if (!out["tasks"].contains(infos_[t].name)) out["tasks"][infos_[t].name] = std::move(one);
    }
    out["bytes_per_step_per_rank"] = bytes / static_cast<double>(all.size());
    out["overhead"] = total > 0 ? sharing / total : 0;
    out["sweep_share"] = total > 0 ? sweeps / total : 0;
    out["version"] = CHORALE_VERSION;
    return out;
  }

  void say_results(const std::vector<std::vector<std::byte>>& all) const {
    const std::vector<int> task_of = lay_out(infos_, world_.size());
    for (std::size_t r = 0; r < all.size(); ++r) {
      if (r > 0 && task_of[r] == task_of[r - 1]) continue;
      const Json one = Json::parse(std::string(reinterpret_cast<const char*>(all[r].data()), all[r].size()));
      std::string scores;
      for (const char* part : {"validation", "test"})
        if (one["metrics"].contains(part))
          for (const auto& [metric, value] : one["metrics"][part].items())
            if (value.is_number()) scores += fmt::format("  {} {} {:.4f}", part, metric, value.get<double>());
      std::fprintf(stderr, "%-12s %s\n", infos_[static_cast<std::size_t>(task_of[r])].name.c_str(), scores.c_str());
    }
    std::fprintf(stderr, "run directory: %s\n", folder_.c_str());
  }

  Communicator& world_;
  const CollabRecipe& recipe_;
  RunDirectory& run_;
  std::filesystem::path folder_;
  CollabRunOptions options_;
  std::vector<TaskInfo> infos_;
  std::size_t number_;
  const Settings& settings_;
  std::unique_ptr<Communicator> comm_, sharing_;
  Session session_;
  std::filesystem::path task_folder_;
  PreparedData data_;
  TaskRows rows_;
  std::vector<std::int64_t> per_tick_;
  TickCount ticks_;
};

}  // namespace

int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, const std::filesystem::path& folder,
                    const CollabRunOptions& options) {
  return CollabRank(world, recipe, run, folder, options).train();
}

}  // namespace chorale
