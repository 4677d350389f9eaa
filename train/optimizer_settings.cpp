#include <chorale/train/optimizer_settings.hpp>

#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/parameter_groups.hpp>

namespace chorale {

namespace {

constexpr double kMany = 1e15;

void describe_schedule(OptionTable& t, OptimizerOptions& optimizer, const Registry& registry) {
  ScheduleOptions& o = optimizer.schedule;
  std::string all;
  for (const std::string& name : registry.of<ScheduleEntry>().names())
    all += (all.empty() ? "" : "; ") + name + ": " + registry.of<ScheduleEntry>().at(name, "schedule").help;
  t.add("optimizer.schedule", o.name, "How the rate goes over the run, after warm-up. " + all + ".",
        {.choices = registry.of<ScheduleEntry>().names()});
  t.add("optimizer.warmup_steps", o.warmup_steps, "First updates, over which the rate rises in a line to optimizer.lr.",
        {.min = 0, .max = kMany});
  t.add("optimizer.warmup_epochs", o.warmup_epochs, "The same in epochs.", {.min = 0, .max = 1e9});
  t.add("optimizer.schedule_steps", o.steps,
        "Updates that the schedule stretches over, warm-up included; then the rate stays. 0: all of the run.",
        {.min = 0, .max = kMany, .mathematics = false});
  t.add("optimizer.end_factor", o.end_factor, "What is left of the rate at a schedule's end, and at least on a plateau.",
        {.min = 0, .max = 1});
  t.add("optimizer.power", o.power, "Of polynomial.", {.min = 0.01, .max = 100});
  t.add("optimizer.rise_share", o.rise_share, "Of one_cycle: the share of the way on which the rate rises.", {.min = 0, .max = 1});
  t.add("optimizer.start_factor", o.start_factor, "Of one_cycle: what it begins with, as a factor of the rate.", {.min = 0, .max = 1});
  t.add("optimizer.cooldown_share", o.cooldown_share, "Of warmup_stable_decay: the share of the way on which the rate falls.",
        {.min = 0.0001, .max = 1});
  t.add("optimizer.drop_at", o.drop_at, "Of step: rising epochs, as in 30 60.");
  t.add("optimizer.drop_factor", o.drop_factor, "Of step and plateau.", {.min = 1e-6, .max = 1});
  t.add("optimizer.plateau", o.plateau,
        "Of plateau: a validation score, and how many evaluations it may fail to improve before the rate drops, as in train.early_stop.");
  t.add("optimizer.base_batch", optimizer.base_batch,
        "The batch that optimizer.lr is meant for: with another train.batch the rate is scaled by optimizer.batch_rule, which is printed. "
        "0: the rate is as given.",
        {.min = 0, .max = kMany});
  t.add("optimizer.batch_rule", optimizer.batch_rule,
        "Of optimizer.base_batch: linear in the ratio of batches, usual with sgd (Goyal et al. 2017), or its square root, usual with the "
        "adam family (Malladi et al. 2022).",
        {.choices = {"linear", "sqrt"}});
}

}  // namespace

void describe_optimizer(OptionTable& t, OptimizerOptions& o, const Registry& registry) {
  t.add("optimizer.name", o.name, "The update rule.", {.choices = registry.of<OptimizerEntry>().names()});
  t.add("optimizer.lr", o.lr, "Learning rate.", {.min = 0, .max = 1e6, .short_flag = "lr"});
  t.add("optimizer.momentum", o.momentum, "Of sgd, lars and rmsprop.", {.min = 0, .max = 1});
  t.add("optimizer.dampening", o.dampening, "Of the momentum of sgd and lars.", {.min = 0, .max = 1});
  t.add("optimizer.nesterov", o.nesterov, "Nesterov's form of the momentum of sgd and lars.");
  t.add("optimizer.beta1", o.beta1, "Decay of the mean of gradients of the adam family, lamb and lion.", {.min = 0, .max = 0.999999});
  t.add("optimizer.beta2", o.beta2,
        "Decay of the mean of squares of the adam family and lamb, of adamax's greatest gradient, of lion's mean (its authors: 0.99).",
        {.min = 0, .max = 0.99999999});
  t.add("optimizer.eps", o.eps, "Added to the root in the denominator; adafactor: least root of a mean of squares.", {.min = 0, .max = 1});
  t.add("optimizer.alpha", o.alpha, "Smoothing of rmsprop.", {.min = 0, .max = 0.99999999});
  t.add("optimizer.momentum_decay", o.momentum_decay, "Of nadam: how fast its momentum grows to beta1.", {.min = 0, .max = 10});
  t.add("optimizer.trust_coefficient", o.trust_coefficient, "Of lars: an update's norm as a share of the tensor's own, before the rate.",
        {.min = 1e-12, .max = 1e6});
  t.add("optimizer.weight_decay", o.weight_decay, "Strength of decay.", {.min = 0, .max = 1e6});
  t.add("optimizer.decay", o.decay,
        "How it acts: added to the gradient (l2) or taken from the parameter (decoupled); auto: decoupled for adamw, adafactor, lamb and "
        "lion.",
        {.choices = {"auto", "l2", "decoupled"}});
  t.add("optimizer.decay_all", o.decay_all,
        "Should weight decay act on norms and biases too, which are the parameters of one dimension? And lars and lamb scale them?");
  t.add("optimizer.clip_norm", o.clip_norm, "Greatest global norm of the gradient; 0: no limit.", {.min = 0, .max = 1e30});
  t.add("optimizer.clip_value", o.clip_value, "Greatest absolute value of each gradient element; 0: no limit.", {.min = 0, .max = 1e30});
  t.add("optimizer.lr_factors", o.lr_factors,
        "Discriminative fine-tuning: PATTERN:FACTOR, what the rate of these parameters is multiplied with; patterns as in "
        "train.init_only, the first that means one decides: encoder.0:0.05 encoder:0.1.",
        {.check = [](const std::string& value) { parse_pattern_numbers("optimizer.lr_factors", words_of(value), "above 0"); }});
  describe_schedule(t, o, registry);
}

}  // namespace chorale
