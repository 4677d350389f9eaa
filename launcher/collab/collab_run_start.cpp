#include <chorale/launcher/collab/collab_run_rank.hpp>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/attempt_records.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/training_start.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

CollabRank::CollabRank(Communicator& world, const CollabRecipe& recipe, RunDirectory& run, LastWord& last, const CollabRunOptions& options)
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

CollabCheckpoints::Setup CollabRank::checkpoint_setup() {
  return {.sharing = *sharing_,
          .run = folder_,
          .tasks = task_names(infos_),
          .task_of = task_of_,
          .retention = {.last = settings_.checkpoint.keep_last},
          .still_ours = [this] { run_.must_be_ours(); },
          .log = session_.log};
}

void CollabRank::read_data() {
  world_.watch().enter(Activity::reading, "data");
  data_ = prepare_data(settings_.data, settings_.train, *comm_, session_.log, session_.registry, recipe_.request(number_));
  world_.barrier("data of all tasks").wait();  // what one task refuses leaves no folder behind
  world_.watch().enter(Activity::starting, "training");
  rows_ = task_rows(data_);
}

void CollabRank::make_folder() {
  if (world_.rank() == 0) run_.start(recipe_.resolved());
  begin_last_word(world_, run_, folder_, last_);
  if (comm_->rank() == 0) {
    std::filesystem::create_directories(task_folder_ / "logs");
    remove_drafts(task_folder_);
    write_file_atomically(task_folder_ / "recipe.resolved.ini", resolved_recipe(recipe_.tasks[number_]->table));
    write_file_atomically(task_folder_ / "pipeline.json", data_.pipeline.to_json());
  }
  comm_->barrier("folder of the task").wait();
  session_.log.open(task_folder_);
  world_.watch().recorder().open(folder_.string(), world_.rank(), world_.size());
}

void CollabRank::plan() {
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
  if (const std::string changed = changed_end(recipe_, pace_.ticks); world_.rank() == 0 && !changed.empty()) session_.log.info(changed);
}

double CollabRank::trial_step_ms() {
  const LayerParts parts = build();
  TrainerConfig config = this->config(true);
  Trainer trainer(
      {*comm_, *session_.device, *parts.model, *parts.loss, *parts.optimizer, session_.registry, session_.log, rows_.train, {}, {}},
      config);
  return std::max(1e-3, trainer.run().step_ms_p50);
}

}  // namespace chorale
