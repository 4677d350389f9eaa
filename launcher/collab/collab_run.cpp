#include <chorale/launcher/collab/collab_run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/collab/collab_run_rank.hpp>
#include <chorale/launcher/collab/collab_summary.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/init_from.hpp>
#include <chorale/launcher/progress.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/spawn/run_body.hpp>
#include <chorale/launcher/training_start.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {
std::string status_of(Stop stop) { return stop == Stop::interrupt ? "interrupted" : "checkpointed"; }
}  // namespace

int CollabRank::train() {
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

int CollabRank::train(CollabTask& task, const LayerParts& parts, RunFiles& files) {
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

Summary CollabRank::stopped_before_start(Stop stop) const {
  Summary out;
  out.status = status_of(stop);
  out.world_size = comm_->size(), out.version = CHORALE_VERSION;
  return out;
}

CollabPosition CollabRank::position(std::int64_t tick, std::int64_t own_steps) const {
  CollabPosition out = position_at(tick, pace_, recipe_.identity());
  for (const double steps : by_task(*sharing_, task_of_, static_cast<double>(own_steps))) out.steps.push_back(std::llround(steps));
  return out;
}

int CollabRank::finish(CollabTask& task, const Summary& summary, double seconds) {
  const int code = exit_code_of(summary.status);
  task.say_end();
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

int run_collab_rank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options) {
  return CollabRank(world, recipe, run, last, options).train();
}

}  // namespace chorale
