#include <chorale/train/settings.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/data/target_words.hpp>
#include <chorale/core/loss/loss.hpp>
#include <chorale/core/metrics/metric.hpp>
#include <chorale/core/nn/multi_task.hpp>
#include <chorale/core/nn/resnet.hpp>
#include <chorale/core/nn/sequence_model.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/exchange/exchange.hpp>
#include <chorale/train/optimizer_settings.hpp>
#include <chorale/train/parameter_groups.hpp>
#include <chorale/train/trace_file.hpp>

namespace chorale {

namespace {

constexpr double kMany = 1e15;

std::vector<std::string> with(const std::string& first, std::vector<std::string> names) {
  names.insert(names.begin(), first);
  return names;
}

/// Names of losses, each perhaps behind NAME :; of which targets, is seen when these are known.
void check_losses(const std::string& text, const Registry& registry) {
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_name = words[i].ends_with(":") || (i + 1 < words.size() && words[i + 1] == ":");
    if (is_name) continue;
    if (registry.of<LossEntry>().contains(words[i])) continue;
    const std::vector<std::string> names = registry.of<LossEntry>().names();
    const std::string near = nearest_name(words[i], names);
    std::string allowed;
    for (const std::string& name : names) allowed += (allowed.empty() ? "" : " | ") + name;
    throw UsageError("train.loss = " + excerpt(text) + " is refused: " + (near.empty() ? "" : "did you mean " + near + "? ") +
                     "allowed is " + allowed);
  }
}

std::string losses_text(const Registry& registry) {
  std::string out;
  for (const std::string& name : registry.of<LossEntry>().names()) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string metrics_text(const Registry& registry) {
  std::string out;
  for (const std::string& name : registry.of<MetricEntry>().names())
    if (name != "loss") out += (out.empty() ? "" : " ") + name;
  return out;
}

std::vector<std::string> kinds(const Registry& registry) {
  std::vector<std::string> out = with("layers", with("resnet", registry.of<SequenceModelEntry>().names()));
  for (const std::string& name : registry.of<MultiTaskEntry>().names()) out.push_back(name);
  return out;
}

void describe_transformer(OptionTable& t, ModelOptions& o) {
  t.add("model.depth", o.depth, "Of transformer: blocks.", {.min = 1, .max = 1024});
  t.add("model.heads", o.heads, "Of transformer: heads of attention; they divide model.width.", {.min = 1, .max = 1024});
  t.add("model.width", o.width, "Of transformer: numbers of a token's vector.", {.min = 1, .max = 65536});
  t.add("model.feed_forward", o.feed_forward, "Of transformer: hidden units of each block's feed-forward network.",
        {.min = 1, .max = 1 << 20});
  t.add("model.dropout", o.dropout,
        "Of transformer: probability that a number of the embedding, or of what either part of a block gives, becomes 0 while training.",
        {.min = 0, .max = 0.999});
  t.add("model.norm", o.norm, "Of transformer: layer norms in front of each part of a block (pre), or behind its sum (post).",
        {.choices = {"pre", "post"}});
  t.add("model.activation", o.activation, "Of transformer: of the feed-forward networks.", {.choices = {"relu", "gelu"}});
  t.add("model.positions", o.positions, "Of transformer: what tells places apart: learned vectors, sinusoidal ones, or none.",
        {.choices = {"learned", "sinusoidal", "none"}});
  t.add("model.causal", o.causal, "Of transformer: does a place see only itself and what comes before? A model that generates must.");
  t.add("model.tied", o.tied, "Of transformer: does the last layer share the embedding's table?");
}

void describe_model(OptionTable& t, ModelOptions& o, const Registry& registry) {
  t.add("model.kind", o.kind,
        "layers, one after the other, for one target; resnet, residual blocks over images; transformer, for text; for several targets: "
        "shared_bottom, mmoe (a gate a task mixes "
        "shared experts) or ple (levels of shared experts and of each task's own).",
        {.choices = kinds(registry)});
  t.add("model.layers", o.layers, "Layers in order, for instance: linear(128) relu dropout(0.2) linear(1).");
  t.add("model.widths", o.widths, "Of resnet: channels of each stage; from the second on a stage halves height and width.",
        {.check = [](const std::string& value) { parse_widths(words_of(value)); }});
  t.add("model.blocks", o.blocks, "Of resnet: residual blocks of each stage.", {.min = 1, .max = 1000});
  t.add("model.expert_layers", o.expert_layers,
        "Of models of several tasks: the layers of each expert, or those that all tasks share with shared_bottom, for instance: linear(64) "
        "relu.");
  t.add("model.tower_layers", o.tower_layers,
        "Of models of several tasks: the layers of each task's tower before its last linear layer, which is added with as many outputs as "
        "the "
        "target needs.");
  t.add("model.experts", o.experts, "Shared experts of mmoe, and of ple at each level.", {.min = 1, .max = 4096});
  t.add("model.task_experts", o.task_experts, "Experts of each task's own at each level of ple.", {.min = 1, .max = 4096});
  t.add("model.levels", o.levels, "Levels of ple.", {.min = 1, .max = 64});
  describe_transformer(t, o);
  t.add("model.init", o.init, "How weights start; torch is torch.nn's default, the others set biases to 0.",
        {.choices = {"torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal"}});
}

void describe_train(OptionTable& t, TrainOptions& o, const Registry& registry) {
  t.add("train.loss", o.loss,
        "What is minimised: " + losses_text(registry) +
            ". Those of classes work on logits, poisson and tweedie on the log of the mean. With several targets each may have its own: "
            "income : binary_cross_entropy spend : mse.",
        {.check = [&registry](const std::string& value) { check_losses(value, registry); }});
  t.add("train.huber_delta", o.huber_delta, "Where the huber loss turns from squares to absolute values.", {.min = 1e-12});
  t.add("train.label_smoothing", o.label_smoothing,
        "Of the cross entropies: how much of a label goes to all classes alike (Szegedy et al. 2016).", {.min = 0, .max = 0.999});
  t.add("train.focal_gamma", o.focal_gamma, "Of the focal losses: how much less rows count that are right already; 0: cross entropy.",
        {.min = 0, .max = 100});
  t.add("train.quantile", o.quantile, "Of the pinball loss: the share of values that lie below what is predicted.",
        {.min = 1e-6, .max = 1 - 1e-6});
  t.add("train.tweedie_power", o.tweedie_power, "Of the tweedie loss: the power of the mean by which the variance grows.",
        {.min = 1.001, .max = 1.999});
  t.add("train.batch", o.batch, "Samples of one update over all ranks together.", {.min = 1, .max = kMany, .short_flag = "batch"});
  t.add("train.epochs", o.epochs, "Passes over the training rows.", {.min = 0, .max = kMany, .short_flag = "epochs", .mathematics = false});
  t.add("train.steps", o.steps, "Stop after this many updates in all; 0: epochs decide.",
        {.min = 0, .max = kMany, .short_flag = "steps", .mathematics = false});
  t.add("train.seed", o.seed, "Of starting weights, order of rows and dropout.", {.min = 0, .max = kMany, .short_flag = "seed"});
  t.add("train.accumulate", o.accumulate, "Parts that each virtual worker's share is computed in, one after the other, to save memory.",
        {.min = 1, .max = kMany});
  t.add("train.dtype", o.dtype, "Element type of parameters and arithmetic.", {.choices = {"f32", "f64"}});
  t.add("train.metrics", o.metrics,
        "Scores beside the loss: " + metrics_text(registry) + ". Of several targets all that can have it, or one: income.auc.",
        {.mathematics = false});
  t.add(
      "train.early_stop", o.early_stop,
      "A validation score and how many evaluations it may fail to improve: validation.auc 5. The best weights are kept. Of several targets "
      "validation.income.auc, or validation.auc, their mean.",
      {.mathematics = false});
  t.add("train.class_weights", o.class_weights,
        "One number a class, or balanced. With several targets each may have its own: income : balanced.");
  t.add(
      "train.task_weights", o.task_weights,
      "What the losses of several targets weigh in their sum: equal, one number a target, or uncertainty, which learns them (Kendall, Gal, "
      "Cipolla 2018).");
  t.add("train.gradient_surgery", o.gradient_surgery,
        "What becomes of gradients of several targets that pull shared parameters apart: none, or pcgrad, which projects them (Yu et al. "
        "2020) and "
        "takes a pass for each target.",
        {.choices = {"none", "pcgrad"}});
  t.add("train.evaluate_every", o.evaluate_every, "Updates between evaluations of the validation rows; 0: epochs decide.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add("train.evaluate_every_epochs", o.evaluate_every_epochs, "Epochs between evaluations of the validation rows.",
        {.min = 1, .max = kMany, .mathematics = false});
  t.add("train.trace", o.trace,
        "Updates FIRST:LAST that trace.json of the run directory shows: layers, gradients, waits and updates of all ranks, for Perfetto.",
        {.short_flag = "trace", .mathematics = false, .check = [](const std::string& value) { parse_trace_window(value); }});
  t.add("train.log_every", o.log_every, "Updates between lines of metrics.jsonl; 0: about 20 an epoch.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add(
      "train.check_replicas", o.check_replicas,
      "Updates between comparisons of all copies of the parameters, and before each checkpoint: a difference ends the run and names "
      "tensor, rank and step. Under local_sgd at the next average, and what a rank's copy has suffered before has gone into it. 0: never.",
      {.min = 0, .max = kMany, .mathematics = false});
  t.add(
      "train.on_nan", o.on_nan,
      "What all ranks do at a step whose loss is not finite: stop, skip that step, or go back to the newest checkpoint with a lower rate.",
      {.choices = {"stop", "skip", "rollback"}, .mathematics = false});
  t.add("train.rollback_lr_factor", o.rollback_lr_factor, "Of train.on_nan = rollback: what the rate is multiplied with each time.",
        {.min = 1e-6, .max = 1, .mathematics = false});
  t.add("train.rollbacks", o.rollbacks, "Of train.on_nan = rollback: how often, then the run stops.",
        {.min = 1, .max = 1e6, .mathematics = false});
}

void describe_transfer(OptionTable& t, TrainOptions& o) {
  t.add("train.ema", o.ema,
        "Decay of a moving average of the parameters, as 0.999, that is evaluated, saved and used by predict and eval; 0: none. Early it "
        "is (1 + step) / (10 + step) where that is less.",
        {.min = 0, .max = 0.9999999});
  t.add("train.init_from", o.init_from,
        "Start with the weights of this run or checkpoint, or of RUN/tasks/NAME, by name and shape; a first layer by the names of "
        "features; or of FILE.safetensors, as PyTorch's users write them. What was loaded is said. A resumed run does not load again.",
        {.short_flag = "init-from", .mathematics = false});
  t.add("train.init_map", o.init_map,
        "Of train.init_from = FILE.safetensors: names in the file and what they are here, features.*=0.* head.weight=5.weight; the first "
        "that means a name decides, others stay as they are.",
        {.short_flag = "map", .mathematics = false});
  t.add("train.init_only", o.init_only,
        "Of train.init_from: which parameters are loaded, as globs over their names: encoder (all layers before the last), head, 0, "
        "*.bias. Empty: all.",
        {.short_flag = "init-only", .mathematics = false});
  t.add("train.freeze", o.freeze,
        "Parameters that keep what they start with, as globs as in train.init_only: no gradient, no optimiser state, no communication.",
        {.short_flag = "freeze"});
  t.add("train.unfreeze", o.unfreeze,
        "Gradual unfreezing: PATTERN:EPOCHS, parameters that are not updated before so many epochs; the first pattern that means one "
        "decides: encoder.2:5 encoder:10.",
        {.check = [](const std::string& value) { parse_pattern_numbers("train.unfreeze", words_of(value), "epochs above 0"); }});
  t.add("train.unfreeze_steps", o.unfreeze_steps, "The same in updates: PATTERN:UPDATES.",
        {.check = [](const std::string& value) { parse_pattern_numbers("train.unfreeze_steps", words_of(value), "updates above 0"); }});
}

void describe_parallel(OptionTable& t, ParallelOptions& o, const Registry& registry) {
  t.add("parallel.threads", o.threads, "Threads of a rank, inside matrix products.", {.min = 1, .max = 1024, .short_flag = "threads"});
  t.add("parallel.virtual_workers", o.virtual_workers,
        "Parts that the batch is computed in, whatever the number of ranks: equal bits at every number of ranks up to it. 0: as many as "
        "ranks.",
        {.min = 0, .max = 65536, .mathematics = false});
  std::vector<std::string> exchanges = registry.of<ExchangeEntry>().names();
  exchanges.insert(exchanges.begin(), "auto");
  t.add("parallel.exchange", o.exchange,
        "How replicas agree; auto measures shared and replicated in the first steps and keeps the faster one, with the same bits.",
        {.choices = std::move(exchanges), .mathematics = false});
  t.add(
      "parallel.copies", o.copies,
      "Of parameters that ranks share: one a node, or one a NUMA domain with a meeting more a step and the same bits; auto: one a domain "
      "where ranks are bound to several and the parameters exceed the last-level cache, as reading them from the next socket costs little "
      "while they fit.",
      {.choices = {"auto", "node", "numa"}, .mathematics = false});
  t.add("parallel.balance", o.balance,
        "What virtual workers get equal parts of: rows, or cost where the data set says what its rows cost, as a program of one's own may.",
        {.choices = {"rows", "cost"}});
  t.add("parallel.wire", o.wire,
        "Element type of sums and parameters between nodes; they are added in the model's own type. bf16 halves the bytes.",
        {.choices = {"f32", "bf16"}});
  t.add("parallel.overlap", o.overlap,
        "Who carries finished gradients between nodes during backward: a communication thread, or the training thread between layers; auto "
        "takes the thread where every rank has a physical core free for it. One node has nothing to carry. Equal bits either way.",
        {.choices = {"auto", "thread", "layers"}, .mathematics = false});
  t.add("parallel.local_steps", o.local_steps, "Of local_sgd: updates of a rank's own between two averages.", {.min = 1, .max = 1e9});
  t.add("parallel.outer_lr", o.outer_lr, "Of local_sgd: rate of the outer step towards the average; 1: all the way.",
        {.min = 0, .max = 100});
  t.add("parallel.outer_momentum", o.outer_momentum, "Of local_sgd: Nesterov momentum of the outer step.", {.min = 0, .max = 0.9999});
  t.add("parallel.isa", o.isa, "Use at most this instruction set.", {.choices = {"auto", "baseline", "avx2", "avx512"}});
}

void describe_checkpoint(OptionTable& t, CheckpointOptions& c) {
  t.add("checkpoint.every_steps", c.every_steps, "Updates between checkpoints; 0: others decide.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add("checkpoint.every_epochs", c.every_epochs,
        "Epochs between checkpoints, where neither steps nor seconds nor auto decide; 0: only at the end.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add("checkpoint.every_seconds", c.every_seconds, "Seconds between checkpoints, by the clock of rank 0; 0: others decide.",
        {.min = 0, .max = 1e9, .mathematics = false});
  t.add(
      "checkpoint.every", c.every,
      "given: the three keys above; auto: as often as loses least by what a checkpoint costs here and checkpoint.mtbf_hours (Young, Daly).",
      {.choices = {"given", "auto"}, .mathematics = false});
  t.add("checkpoint.mtbf_hours", c.mtbf_hours, "Of auto: mean hours between two failures of the whole job.",
        {.min = 0.001, .max = 1e6, .mathematics = false});
  t.add("checkpoint.keep_last", c.keep_last, "How many of the newest are kept.", {.min = 1, .max = 1e6, .mathematics = false});
  t.add("checkpoint.keep_best", c.keep_best,
        "How many of the best are kept too, be they among the newest or not: by the score of train.early_stop, else the validation loss, "
        "where that was measured at their step.",
        {.min = 0, .max = 1e6, .mathematics = false});
  t.add("checkpoint.keep_every", c.keep_every, "Those whose step is a multiple of this are kept for ever; 0: none.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add("checkpoint.on_error", c.on_error,
        "When one cannot be written: go on with a warning, or stop with exit code 74. The last one of a run must succeed.",
        {.choices = {"warn", "stop"}, .mathematics = false});
  t.add("checkpoint.background", c.background,
        "Write while training goes on, from a copy in memory; false, or where the copy does not fit: training waits.",
        {.mathematics = false});
}

KeyTexts checked_texts(const OptionTable& table) {
  KeyTexts out;
  for (const Option& option : table.all()) {
    option.parse(option.text());
    out.emplace_back(option.key, option.text());
  }
  return out;
}

}  // namespace

std::string loss_of_target(const std::string& text, const std::vector<std::string>& targets, std::size_t t) {
  const std::vector<std::string> words = words_of_target("train.loss", words_of(text), targets, t);
  if (words.size() == 1) return words[0];
  throw UsageError("train.loss = " + text + " is refused: expected one loss " +
                   (targets.size() > 1 ? "for '" + targets[t] + "', as in " + targets[t] + " : mse" : ""));
}

KeyTexts checked_texts(const ParallelOptions& options, const Registry& registry) {
  ParallelOptions copy = options;
  OptionTable table;
  describe_parallel(table, copy, registry);
  return checked_texts(table);
}

KeyTexts checked_texts(const OptimizerOptions& options, const Registry& registry) {
  OptimizerOptions copy = options;
  OptionTable table;
  describe_optimizer(table, copy, registry);
  return checked_texts(table);
}

void describe(OptionTable& table, Settings& settings, const Registry& registry) {
  describe(table, settings.data, registry.of<ReaderEntry>().names());
  describe_model(table, settings.model, registry);
  describe_train(table, settings.train, registry);
  describe_transfer(table, settings.train);
  describe_optimizer(table, settings.optimizer, registry);
  describe_parallel(table, settings.parallel, registry);
  describe_checkpoint(table, settings.checkpoint);
  table.add("watchdog.seconds", settings.watchdog.seconds,
            "Deadline of every wait for a rank that does not get on. From the 50th update on at most 20 times the slowest part of an "
            "update, but not below 10 s.",
            {.min = 0.1, .max = 1e6, .mathematics = false});
}

}  // namespace chorale
