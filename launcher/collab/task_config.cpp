#include <chorale/launcher/collab/task_config.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <chorale/train/data/prepare.hpp>

namespace chorale {

namespace {
std::int64_t steps_per_epoch(const TrainOptions& train, std::int64_t rows) { return (rows + train.batch - 1) / train.batch; }
bool has_fusion(const CollabRecipe& recipe) {
  const auto& strategy = recipe.settings.strategy;
  return std::find(strategy.begin(), strategy.end(), "store") != strategy.end();
}

/// Ranks that average their weights would round those that are to stay as they are.
bool drifts(const CollabRecipe& recipe) {
  return std::any_of(recipe.tasks.begin(), recipe.tasks.end(),
                     [](const auto& task) { return task->settings.parallel.exchange == "local_sgd"; });
}

std::int64_t room_at_end(const CollabRecipe& recipe, const TickCount& ticks) {
  return ticks.ticks - std::max<std::int64_t>(1, ticks.burn_in) - ticks_of(recipe.settings.probe, ticks);
}
}  // namespace

std::int64_t own_steps(const TrainOptions& train, std::int64_t train_rows) {
  return train.steps > 0 ? train.steps : train.epochs * steps_per_epoch(train, train_rows);
}

std::int64_t ticks_of(double share, const TickCount& ticks) { return std::llround(share * static_cast<double>(ticks.ticks)); }

std::int64_t final_ticks(const CollabRecipe& recipe, const TickCount& ticks) {
  const double share = recipe.settings.finalise;
  const std::int64_t room = room_at_end(recipe, ticks);
  if (share <= 0 || !has_fusion(recipe) || drifts(recipe) || room < 2) return 0;
  return std::clamp<std::int64_t>(ticks_of(share, ticks), 1, room / 2);
}

std::string changed_end(const CollabRecipe& recipe, const TickCount& ticks) {
  const double share = recipe.settings.finalise;
  const std::int64_t wanted = std::max<std::int64_t>(1, ticks_of(share, ticks)), got = final_ticks(recipe, ticks);
  if (share <= 0 || got == wanted || !has_fusion(recipe)) return "";
  if (drifts(recipe)) return "collab.finalise is left out: ranks that average their weights (local_sgd) would change layers that rest";
  return fmt::format("collab.finalise: {} of {} ticks, for {} are left behind burn-in and probe", got, wanted,
                     std::max<std::int64_t>(0, room_at_end(recipe, ticks)));
}

HoldRule hold_at_end(std::int64_t final_ticks, std::int64_t k, const TickCount& ticks, bool begins_late) {
  if (final_ticks == 0) return {};
  return {.last_step = (ticks.ticks - final_ticks - (begins_late ? ticks.burn_in : 0)) * k,
          .holds = [](std::string_view name) { return !FusedModel::is_of_fusion(name); }};
}

TrainerConfig task_config(const Settings& settings, std::int64_t train_rows, std::int64_t k, const TickCount& ticks, bool begins_late) {
  TrainerConfig config;
  config.train = settings.train, config.parallel = settings.parallel, config.watchdog = settings.watchdog;
  config.init = settings.model.init, config.lr_factors = settings.optimizer.lr_factors;
  const TrainOptions& t = settings.train;
  const std::int64_t wanted = t.evaluate_every > 0 ? t.evaluate_every : t.evaluate_every_epochs * steps_per_epoch(t, train_rows);
  config.train.evaluate_every = std::max<std::int64_t>(1, (wanted + k / 2) / k) * k;
  config.train.steps = (ticks.ticks - (begins_late ? ticks.burn_in : 0)) * k;
  config.stops_early = false;  // all make the same number of ticks; the best weights are kept
  return config;
}

TaskRows task_rows(const PreparedData& data) {
  std::vector<std::int64_t> every(static_cast<std::size_t>(data.rows));
  std::iota(every.begin(), every.end(), std::int64_t{0});
  return {.train = data.train,
          .validation = data.validation,
          .test = data.test,
          .all = std::make_shared<MatrixDataset>(data.train->matrix(), std::move(every)),
          .entities = data.entities,
          .periods = data.periods,
          .scale_before = data.scale_before,
          .key = data.key,
          .features = data.pipeline.feature_names()};
}

}  // namespace chorale
