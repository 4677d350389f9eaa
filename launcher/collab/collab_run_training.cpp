#include <algorithm>

#include <chorale/comm/rank_watch.hpp>
#include <chorale/launcher/collab/collab_run_rank.hpp>
#include <chorale/launcher/collab/task_config.hpp>
#include <chorale/launcher/settings_table.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/train/early_stopping.hpp>

namespace chorale {

namespace {
constexpr std::int64_t kTrialSteps = 24;  // of the measurement before the first step
}

LayerParts CollabRank::build() const { return build_layer_parts(settings_, data_.pipeline, session_.registry); }

std::int64_t CollabRank::first_tick() const { return begins_late_ ? pace_.ticks.burn_in : 0; }
std::int64_t CollabRank::last_tick() const {
  const std::int64_t k = pace_.per_tick[number_], own = (own_steps(settings_.train, rows_.train->rows()) + k - 1) / k;
  return std::min(pace_.ticks.ticks, first_tick() + std::max<std::int64_t>(1, own));
}

std::int64_t CollabRank::patience() const { return EarlyStopping(settings_.train.early_stop, session_.registry).patience(); }

TrainerConfig CollabRank::config(bool trial) const {
  TrainerConfig config = task_config(settings_, rows_.train->rows(), trial ? 1 : pace_.per_tick[number_], pace_.ticks, begins_late_);
  config.identity = recipe_.tasks[number_]->identity();
  config.identity["data"] = data_.identity();
  if (trial) {
    config.train.steps = kTrialSteps, config.train.early_stop = {}, config.final_evaluation = false;
    config.train.freeze = config.train.unfreeze = config.train.unfreeze_steps = config.lr_factors = {};  // of the model that shares
    return config;
  }
  config.hold = hold_at_end(final_ticks(recipe_, pace_.ticks), pace_.per_tick[number_], pace_.ticks, begins_late_);
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

CollabTask::Setup CollabRank::setup(std::unique_ptr<Sequential> own, Loss& loss) {
  CollabOptions o = recipe_.options();
  o.guard = recipe_.settings.guard;
  o.noise_seed = static_cast<std::uint64_t>(settings_.train.seed);
  o.trunk.seed = static_cast<std::uint64_t>(recipe_.tasks[0]->settings.train.seed);
  o.trunk.is_given = !settings_.train.init_from.empty(), o.trunk.given = settings_.train.init_only;
  o.plan = {.steps_per_tick = pace_.per_tick[number_],
            .ticks = pace_.ticks.ticks,
            .burn_in_ticks = pace_.ticks.burn_in,
            .probe_ticks = ticks_of(recipe_.settings.probe, pace_.ticks),
            .first_tick = first_tick(),
            .save_ticks = recipe_.settings.checkpoint_every,
            .final_ticks = final_ticks(recipe_, pace_.ticks),
            .sweep_ticks = recipe_.settings.sweep,
            .at_end = recipe_.at_end(number_),
            .last_tick = last_tick(),
            .patience = patience()};
  return {
      .sharing = *sharing_,
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
      .on_news = world_.rank() == 0 ? [this](const TickNews& news) { log_of_ticks_.write(news); } : std::function<void(const TickNews&)>(),
      .log = &session_.log,
      .place_of = [this](std::size_t task, const std::string& kind) { return recipe_.place_of(task, kind); }};
}

TrainerParts CollabRank::trainer_parts(CollabTask& task, const LayerParts& parts) {
  TrainerParts out{*comm_,       *session_.device, task.model(),      *parts.loss, *parts.optimizer, session_.registry,
                   session_.log, task.train(),     task.validation(), task.test()};
  out.aims = task.aims();
  out.hook = &task.hook();
  return out;
}

}  // namespace chorale
