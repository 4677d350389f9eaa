// The keys of [collab] and of a section [task.NAME].
#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/train/collab/strategy.hpp>

namespace chorale {

namespace {
constexpr double kMany = 1e15;
}

void CollabRecipe::describe(CollabSettings& s) {
  Registry registry;
  register_all(registry);
  const std::vector<std::string> known = registry.of<StrategyEntry>().names();
  std::string kinds;
  for (const std::string& name : known) kinds += (kinds.empty() ? "" : "; ") + name + ": " + registry.of<StrategyEntry>().at(name, "").help;
  table.add("collab.strategy", s.strategy, "How tasks share, one or several, in this order. " + kinds + ".",
            {.check = [known](const std::string& text) {
              for (const std::string& name : words_of(text))
                if (std::find(known.begin(), known.end(), name) == known.end())
                  throw UsageError("collab.strategy = " + text + " is refused: there is no strategy '" + name + "'; there are " +
                                   list_text(known));
            }});
  table.add("collab.every", s.every, "Steps of the fastest task between two ticks, at which vectors are exchanged.",
            {.min = 1, .max = kMany});
  table.add("collab.width", s.width, "Numbers in the vector that a task publishes of an entity.", {.min = 1, .max = 1024});
  table.add(
      "collab.store", s.store,
      "Where vectors lie: replicated, all of them with every rank; sharded, each with the rank that owns its entity, and those that a task "
      "reads with its ranks; auto, replicated up to 64 MiB. Bits are the same.",
      {.choices = {"auto", "replicated", "sharded"}, .mathematics = false});
  table.add("collab.wire", s.wire, "How vectors travel: f32; bf16, half the bytes; int8 with a scale for each vector, a quarter.",
            {.choices = {"f32", "bf16", "int8"}});
  table.add("collab.clip", s.clip,
            "Length that a published vector is cut to before it leaves its task; 0: it is not. With collab.noise it bounds what a vector "
            "tells of its "
            "entity.",
            {.min = 0, .max = 1e6});
  table.add("collab.noise", s.noise,
            "Deviation of the normal noise that each number of a published vector gets, as a multiple of collab.clip; drawn by the task's "
            "train.seed, "
            "which must be secret where the noise is to hide something.",
            {.min = 0, .max = 1e3});
  table.add("collab.beta", s.beta,
            "What a new mean counts against the row that was there: 1 for features that stay, 0.3 for streams of events.",
            {.min = 1e-6, .max = 1});
  table.add(
      "collab.exports_features", s.exports_features,
      "Whether published vectors are made of a task's features too, and not of its last hidden layer alone: what the task itself has no "
      "use for may help a peer, and more of the features can be told from the vectors.");
  table.add("collab.guard", s.guard,
            "Whether a task stops hearing a peer that makes its validation loss worse by more than one standard error twice running.");
  table.add("collab.burn_in", s.burn_in, "Share of the ticks in which tasks train alone; a task with role = target begins only after them.",
            {.min = 0, .max = 0.9});
  table.add(
      "collab.probe", s.probe,
      "Share of the ticks in which a task with role = target and fewer than 200 training rows first learns to use what it hears, its own "
      "layers being left as they are.",
      {.min = 0, .max = 0.9});
  table.add(
      "collab.finalise", s.finalise,
      "Share of the ticks, at the end: every task goes back to its best weights, publishes all of its entities anew, and its fusion alone "
      "learns on with what all have published then. Only with the strategy store, and less where few ticks are left behind burn-in and "
      "probe. 0: "
      "vectors of the end are of different ages.",
      {.min = 0, .max = 0.5});
  table.add("collab.sweep", s.sweep,
            "Ticks in which a task's forward pass goes once over all of its rows, so that rows of all parts publish; 0: only at the end, "
            "as collab.finalise says.",
            {.min = 0, .max = 1e6});
  table.add("collab.trunk.parameters", s.trunk.parameters,
            "Parameters that all tasks have in common, by name: 0 2.weight, encoder. Empty: encoder, all layers before the last one with "
            "parameters.");
  table.add("collab.trunk.average_every", s.trunk.average_every,
            "Ticks after which the values of common parameters are averaged, so that no task waits at its steps; 0: their gradients are "
            "added at every step, in lock-step.",
            {.min = 0, .max = kMany});
  table.add("collab.trunk.pcgrad", s.trunk.pcgrad,
            "Whether a task's gradient loses what points against another's before they are added (Yu et al. 2020).");
  table.add(
      "collab.trunk.scales", s.trunk.scales,
      "Whether a task has a matrix of its own, of rank one, that the weights of common fully connected layers are multiplied by, number by "
      "number.");
  table.add(
      "collab.trunk.uncertainty_lr", s.trunk.uncertainty_lr,
      "Rate at which tasks' weights are learnt from their losses (Kendall et al. 2018): exp(-s), s falling by this times (1 - 2 w L) / "
      "2 a step. 0: they stay as given.",
      {.min = 0, .max = 1});
  table.add("collab.stitch.layer", s.stitch.layer,
            "Layer behind which tasks read each other, by its number in model.layers, from 0. Empty: the one before the last with "
            "parameters.");
  table.add("collab.stitch.channels", s.stitch.channels,
            "Whether each value behind that layer has weights of its own for every task, instead of one weight for each pair of tasks.");
  table.add("collab.split", s.split,
            "Parts by entity, the same for all tasks: customer 0.70 0.15 0.15. It replaces data.split of tasks with that kind. Or by time: "
            "time 2011-09-01 2011-10-01, train before the first and test from the second on. Empty: data.split decides, and a test row of "
            "one task may train its peer.");
  table.add(
      "collab.time", s.time,
      "Column that says when a row happened, of dates or numbers; no feature. A row then hears of its entity only what rows of earlier "
      "periods say.");
  table.add(
      "collab.period", s.period,
      "With collab.time: what counts as one time, week, day, 12 hours; a number for columns of numbers. An entity has a vector for each.",
      {.check = [](const std::string& text) { parse_period(text); }});
  table.add("collab.split_seed", s.split_seed, "Of collab.split.", {.min = 0, .max = kMany});
  table.add("collab.checkpoint_every", s.checkpoint_every, "Ticks between checkpoints of all tasks; 0: only at the end.",
            {.min = 0, .max = kMany, .mathematics = false});
  table.add("collab.steps_per_tick", s.steps_per_tick,
            "Steps of each task between two ticks: purchase:50 returns:17. Empty: step times are measured before the first step. Bits are "
            "equal between runs with equal numbers.");
  describe_strategies(s);
}

void CollabRecipe::describe_strategies(CollabSettings& s) {
  table.add(
      "collab.distill.form", s.distill_form,
      "How peers teach: by predictions for entities that all tasks know, or by a checkpoint, their weights of each tick, of tasks with the "
      "same columns and layers.",
      {.choices = {"predictions", "checkpoint"}});
  table.add("collab.distill.weight", s.distill.weight, "Of the pull towards peers' predictions in the loss.", {.min = 0, .max = 1e3});
  table.add("collab.distill.temperature", s.distill.temperature, "What logits are divided by before they are compared.",
            {.min = 0.01, .max = 1e3});
  table.add("collab.distill.ramp", s.distill.ramp, "Share of the ticks, after the burn-in, in which the weight grows from 0.",
            {.min = 0, .max = 1});
  table.add("collab.distill.entities", s.distill.entities, "Entities whose predictions are told at a tick, drawn anew at each.",
            {.min = 1, .max = 1e6});
  table.add("collab.distill.share", s.distill.share, "Rows of such entities in a step, for each row of the batch: what it costs.",
            {.min = 1e-3, .max = 10});
  table.add("collab.proto.key", s.proto.key,
            "A column that the tables have in common, or a kind of entity: segment, week. Each value has a prototype.");
  table.add("collab.proto.weight", s.proto.weight, "Of the pull towards prototypes in the loss.", {.min = 0, .max = 1e3});
  table.add("collab.align.weight", s.align.weight, "Of the correlation with peers' vectors in the loss.", {.min = 0, .max = 1e3});
  table.add("collab.align.off_diagonal", s.align.off_diagonal, "What correlations between different columns count in it.",
            {.min = 0, .max = 1e3});
}

void CollabRecipe::describe(TaskSection& section) {
  const std::string at = "task." + section.name + ".";
  table.add(at + "recipe", section.recipe, "The task's recipe; its keys may also be given in this section, which beats it.");
  table.add(at + "ranks", section.ranks, "Ranks that train this task: a number, or share 0.5 of all.");
  table.add(at + "role", section.role, "Whether it publishes vectors (peer), listens to others' (target), or both.",
            {.choices = {"both", "peer", "target"}});
  table.add(
      at + "at_end", section.at_end,
      "What it does when its own steps are made, or its early stopping has waited long enough, and others still train. cycle: its sampler "
      "goes on; serve: it makes no more steps and publishes from its best weights; mask: it makes steps of which nothing comes, for tasks "
      "that wait for each other.",
      {.choices = {"cycle", "serve", "mask"}});
  table.add(at + "weight", section.weight, "What its gradients count in common parameters (collab.strategy = trunk).",
            {.min = 1e-6, .max = 1e6});
  table.add(at + "folds", section.folds,
            "It publishes out of fold: so many models, each without the labels of a part of the entities, make these entities' vectors, so "
            "that no "
            "vector has seen its entity's label. A step costs so many models more. 0: the task's own model publishes.",
            {.min = 0, .max = 20});
  table.add(at + "entity", section.entity, "What rows are about: KIND : COLUMN, several parted by commas; a kind alone: each row is one.");
  table.add(at + "time", section.time, "As collab.time, for this task.");
  table.add(at + "repeats", section.repeats,
            "Rows of one entity that differ. auto: refused where one row an entity is the rule (for 99 of 100 entities, without a time); "
            "refuse: always, with a time within a period; allow: rows are events.",
            {.choices = {"auto", "refuse", "allow"}});
  const RecipeTable keys;
  for (const Option& option : keys.table.all()) section.keys[option.key];
  table.add(at + "columns", section.keys[kColumns], "Short for data.columns: what of a table this task sees.", {.verbatim = true});
  for (auto& [key, text] : section.keys)
    if (key != kColumns) table.add(at + key, text, "As " + key + " of a recipe, for this task.", {.verbatim = true});
}

}  // namespace chorale
