#include <chorale/launcher/collab/lockstep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/strategy.hpp>

namespace chorale {

namespace {

bool has(const CollabRecipe& recipe, const std::string& strategy) {
  const std::vector<std::string>& all = recipe.settings.strategy;
  return std::find(all.begin(), all.end(), strategy) != all.end();
}

/// The keys must have one value in all tasks. why: what the strategy does with it.
void check_equal(const CollabRecipe& recipe, const std::vector<std::string>& keys, const std::string& why) {
  for (const std::string& key : keys) {
    const auto value = [&](std::size_t t) { return recipe.tasks[t]->table.find(key)->text(); };
    for (std::size_t t = 1; t < recipe.tasks.size(); ++t)
      if (value(t) != value(0))
        throw UsageError(fmt::format("task.{}.{} = {}, but task.{}.{} = {}: {}; give all tasks the same", recipe.sections[t]->name, key,
                                     value(t), recipe.sections[0]->name, key, value(0), why));
  }
}

/// Refuses what `is_bad` finds in a task's settings.
void check_none(const CollabRecipe& recipe, const std::string& key, const std::function<bool(const Settings&)>& is_bad,
                const std::string& why) {
  for (std::size_t t = 0; t < recipe.tasks.size(); ++t)
    if (is_bad(recipe.tasks[t]->settings))
      throw UsageError(
          fmt::format("task.{}.{} = {} is refused: {}", recipe.sections[t]->name, key, recipe.tasks[t]->table.find(key)->text(), why));
}

/// What a task that ends early can do under the strategies.
void check_ends(const CollabRecipe& recipe) {
  for (std::size_t t = 0; t < recipe.sections.size(); ++t) {
    const TaskSection& section = *recipe.sections[t];
    if (section.at_end == "cycle") continue;
    const auto refuse = [&](const std::string& why) {
      throw UsageError(fmt::format("task.{}.at_end = {} is refused: {}", section.name, section.at_end, why));
    };
    if (has(recipe, "stitch")) refuse("with collab.strategy = stitch all tasks hold the same rows and end together; remove it");
    if (has(recipe, "trunk") && recipe.settings.trunk.average_every > 0)
      refuse("the mean of collab.trunk.average_every takes the values of every task; use cycle");
    if (has(recipe, "trunk") && section.at_end == "serve")
      refuse("with collab.strategy = trunk every step waits for all tasks; use mask, whose steps say nothing");
    if (section.at_end == "mask" && recipe.tasks[t]->settings.parallel.exchange == "local_sgd")
      refuse("ranks of parallel.exchange = local_sgd agree on no gradient that could be masked; use serve");
  }
}

void check_trunk_settings(const CollabRecipe& recipe) {
  check_equal(recipe, {"train.dtype"}, "with collab.strategy = trunk tasks have parameters in common");
  check_none(
      recipe, "parallel.exchange", [](const Settings& s) { return s.parallel.exchange == "local_sgd"; },
      "with collab.strategy = trunk all ranks of a task have the same parameters at every step; use auto");
  const TrunkPlan& plan = recipe.settings.trunk;
  if (plan.average_every > 0 && (plan.pcgrad || plan.uncertainty_lr > 0))
    throw UsageError(fmt::format("collab.trunk.{} is about gradients, and collab.trunk.average_every = {} shares none; remove one of them",
                                 plan.pcgrad ? "pcgrad" : "uncertainty_lr", plan.average_every));
  if (plan.average_every > 0) return;
  std::vector<std::string> rules = {"train.freeze", "train.unfreeze_steps"};
  for (const Option& option : recipe.tasks[0]->table.all())
    if (option.key.starts_with("optimizer.") && option.key != "optimizer.clip_norm") rules.push_back(option.key);
  check_equal(recipe, rules, "with collab.strategy = trunk every task makes the same update of shared parameters");
  check_none(
      recipe, "optimizer.clip_norm", [](const Settings& s) { return s.optimizer.clip_norm > 0; },
      "a norm that private parameters count in would change shared ones differently in each task; use optimizer.clip_value, or "
      "collab.trunk.average_every");
  check_none(
      recipe, "train.unfreeze", [](const Settings& s) { return !s.train.unfreeze.empty(); },
      "epochs of tasks end at different steps, and shared parameters are let go by all at once; use train.unfreeze_steps");
  check_none(
      recipe, "parallel.wire", [](const Settings& s) { return s.parallel.wire != "f32"; },
      "rounding between the nodes of one task would part its shared parameters from the others'; use f32");
}

void check_stitch_settings(const CollabRecipe& recipe) {
  if (recipe.settings.strategy.size() > 1)
    throw UsageError("collab.strategy = " + list_text(recipe.settings.strategy) +
                     " is refused: stitch waits for all tasks in every pass of the model, also in those that others make for themselves; "
                     "use it alone");
  check_equal(
      recipe,
      {"train.batch", "train.seed", "train.accumulate", "train.dtype", "train.evaluate_every", "train.evaluate_every_epochs",
       "train.early_stop", "parallel.virtual_workers"},
      "with collab.strategy = stitch all tasks hold the same entities in the same rows of their batches, and are scored at the same "
      "steps");
  check_none(
      recipe, "train.class_weights", [](const Settings& s) { return !s.train.class_weights.empty(); },
      "with collab.strategy = stitch a row counts alike in every task; remove it");
  check_none(
      recipe, "data.weight", [](const Settings& s) { return !s.data.weight.empty(); },
      "with collab.strategy = stitch a row counts alike in every task; remove it");
  check_none(
      recipe, "parallel.overlap", [](const Settings& s) { return s.parallel.overlap == "thread"; },
      "with collab.strategy = stitch backward itself talks to other tasks, and one thread at a time may; use layers");
}

}  // namespace

bool goes_in_lockstep(const CollabRecipe& recipe) {
  Registry registry;
  register_all(registry);
  CollabOptions options;
  options.trunk = recipe.settings.trunk;
  return std::any_of(recipe.settings.strategy.begin(), recipe.settings.strategy.end(), [&](const std::string& name) {
    const StrategyEntry& entry = registry.of<StrategyEntry>().at(name, "collab.strategy");
    return entry.in_lockstep && entry.in_lockstep(options);
  });
}

void check_lockstep(const CollabRecipe& recipe) {
  const bool has_trunk = has(recipe, "trunk"), has_stitch = has(recipe, "stitch");
  for (const auto& section : recipe.sections) {
    if ((has_trunk || has_stitch) && section->role != "both")
      throw UsageError(
          fmt::format("task.{0}.role = {1} is refused: with collab.strategy = {2} a task both gives and takes, from the first "
                      "step on; remove it",
                      section->name, section->role, has_trunk ? "trunk" : "stitch"));
    if (!has_trunk && section->weight != 1)
      throw UsageError(fmt::format("task.{}.weight does nothing with collab.strategy = {}; remove it, or add trunk to the strategies",
                                   section->name, list_text(recipe.settings.strategy)));
  }
  check_ends(recipe);
  if (has_trunk) check_trunk_settings(recipe);
  if (has_stitch) check_stitch_settings(recipe);
  if (!goes_in_lockstep(recipe)) return;
  check_none(
      recipe, "train.on_nan", [](const Settings& s) { return s.train.on_nan == "skip"; },
      "in lock-step one task cannot leave out a step that the others make; use stop");
  const std::vector<std::int64_t> pinned = recipe.pinned_steps();
  for (std::size_t t = 1; t < pinned.size(); ++t)
    if (pinned[t] != pinned[0])
      throw UsageError(
          fmt::format("collab.steps_per_tick = {} is refused: with collab.strategy = {} all tasks make equal numbers of steps{}",
                      list_text(recipe.settings.steps_per_tick), list_text(recipe.settings.strategy),
                      has_trunk ? "; collab.trunk.average_every lets them differ" : ""));
}

std::string waiting_text(const std::vector<std::string>& tasks, const std::vector<double>& step_ms) {
  const double slowest = *std::max_element(step_ms.begin(), step_ms.end());
  std::string out;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const double share = 1 - step_ms[t] / slowest;
    if (share < 0.01) continue;
    out += fmt::format("{}{} waits {:.0f} % of its time (own step {:.2g} of {:.2g} ms)", out.empty() ? "" : ", ", tasks[t], 100 * share,
                       step_ms[t], slowest);
  }
  return out;
}

}  // namespace chorale
