// Loss and optimiser from the words of a recipe.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include <chorale/core/data/target_words.hpp>
#include <chorale/core/loss/multi_task_loss.hpp>
#include <chorale/train/rate_schedule.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

/// words: of train.class_weights for this target.
std::vector<double> class_weights(const std::vector<std::string>& words, const std::vector<std::int64_t>& class_rows) {
  std::vector<double> out;
  if (words.size() == 1 && words[0] == "balanced") {  // rows / (classes * rows of the class), as scikit-learn's "balanced"
    if (class_rows.empty()) throw UsageError("train.class_weights = balanced needs a target of classes");
    const double rows = static_cast<double>(std::accumulate(class_rows.begin(), class_rows.end(), std::int64_t{0}));
    for (const std::int64_t n : class_rows)
      out.push_back(rows / (static_cast<double>(class_rows.size()) * static_cast<double>(std::max<std::int64_t>(n, 1))));
    return out;
  }
  for (const std::string& word : words) {
    char* end = nullptr;
    const double w = std::strtod(word.c_str(), &end);
    if (*end || !(w >= 0))
      throw UsageError("train.class_weights = " + word + " is refused: expected one number of at least 0 a class, or balanced");
    out.push_back(w);
  }
  return out;
}

std::vector<std::string> names_of(const std::vector<FittedTarget>& targets) {
  std::vector<std::string> out;
  for (const FittedTarget& target : targets) out.push_back(target.name);
  return out;
}

/// Those that are for all targets are meant for those with classes.
std::vector<std::string> class_words(const TrainOptions& options, const std::vector<FittedTarget>& targets, std::size_t t) {
  const std::vector<std::string> words = words_of_target("train.class_weights", options.class_weights, names_of(targets), t);
  const bool for_all = words == options.class_weights && targets.size() > 1;
  return for_all && targets[t].kind == TargetKind::value ? std::vector<std::string>() : words;
}

/// train.task_weights of a loss that does not learn them.
std::vector<double> given_task_weights(const std::vector<std::string>& words, std::size_t tasks) {
  if (words.empty() || (words.size() == 1 && (words[0] == "equal" || words[0] == "uncertainty"))) return std::vector<double>(tasks, 1);
  const std::string refused = "train.task_weights = " + list_text(words) + " is refused: ";
  std::vector<double> out;
  for (const std::string& word : words) {
    char* end = nullptr;
    const double w = std::strtod(word.c_str(), &end);
    if (*end || !(w >= 0) || !(w <= 1e9)) throw UsageError(refused + "expected equal, uncertainty, or one number of at least 0 a target");
    out.push_back(w);
  }
  if (out.size() != tasks)
    throw UsageError(refused + std::to_string(out.size()) + " numbers for " + std::to_string(tasks) + " targets; give one a target");
  return out;
}

}  // namespace

bool learns_task_weights(const TrainOptions& options) { return options.task_weights == std::vector<std::string>{"uncertainty"}; }

std::unique_ptr<Loss> make_loss(const TrainOptions& options, const std::vector<std::int64_t>& class_rows, const Registry& registry) {
  return registry.of<LossEntry>()
      .at(options.loss, "loss")
      .make({.class_weights = class_weights(options.class_weights, class_rows),
             .huber_delta = options.huber_delta,
             .label_smoothing = options.label_smoothing,
             .focal_gamma = options.focal_gamma,
             .quantile = options.quantile,
             .tweedie_power = options.tweedie_power});
}

std::unique_ptr<Loss> make_target_loss(const TrainOptions& options, const std::vector<FittedTarget>& targets, std::size_t t,
                                       const Registry& registry) {
  TrainOptions one = options;
  one.loss = loss_of_target(options.loss, names_of(targets), t);
  one.class_weights = class_words(options, targets, t);
  return make_loss(one, targets[t].class_rows, registry);
}

namespace {
/// An option that no loss of the run reads.
void refuse_idle_loss_options(const TrainOptions& o, const std::vector<std::string>& losses, const Registry& registry) {
  const auto& all = registry.of<LossEntry>();
  const auto reads = [&](const std::string& name, const std::string& key) {
    const std::vector<std::string>& keys = all.at(name, "loss").reads;
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  const TrainOptions usual;
  const std::vector<std::pair<std::string, bool>> given = {{"huber_delta", o.huber_delta != usual.huber_delta},
                                                           {"label_smoothing", o.label_smoothing != usual.label_smoothing},
                                                           {"focal_gamma", o.focal_gamma != usual.focal_gamma},
                                                           {"quantile", o.quantile != usual.quantile},
                                                           {"tweedie_power", o.tweedie_power != usual.tweedie_power}};
  for (const auto& [key, is_given] : given) {
    const auto reads_it = [&, &key = key](const std::string& name) { return reads(name, key); };
    if (!is_given || std::any_of(losses.begin(), losses.end(), reads_it)) continue;
    std::vector<std::string> who;
    for (const std::string& name : all.names())
      if (reads(name, key)) who.push_back(name);
    throw UsageError("train." + key + " does nothing with train.loss = " + o.loss + "; remove it, or use " + list_text(who));
  }
}
}  // namespace

std::unique_ptr<Objective> make_objective(const TrainOptions& options, const std::vector<FittedTarget>& targets, const Registry& registry) {
  std::vector<std::string> losses;
  for (std::size_t t = 0; t < targets.size(); ++t) losses.push_back(loss_of_target(options.loss, names_of(targets), t));
  refuse_idle_loss_options(options, losses, registry);
  if (targets.size() == 1) {
    const std::string idle = options.task_weights != TrainOptions().task_weights ? "task_weights = " + list_text(options.task_weights)
                             : options.gradient_surgery != "none"                ? "gradient_surgery = " + options.gradient_surgery
                                                                                 : "";
    if (!idle.empty()) throw UsageError("train." + idle + " does nothing with one target; remove it");
    return make_target_loss(options, targets, 0, registry);
  }
  const std::vector<double> weights = given_task_weights(options.task_weights, targets.size());
  std::vector<MultiTaskLoss::Task> tasks;
  for (std::size_t t = 0; t < targets.size(); ++t)
    tasks.push_back({.name = targets[t].name,
                     .loss = make_target_loss(options, targets, t, registry),
                     .class_weights = class_weights(class_words(options, targets, t), targets[t].class_rows),
                     .weight = weights[t]});
  return std::make_unique<MultiTaskLoss>(std::move(tasks), learns_task_weights(options));
}

namespace {

/// An option that the rule would pass over in silence. What a rule of a program's own reads, it says in its entry.
void refuse_idle(const OptimizerOptions& o, const Registry& registry) {
  const auto& all = registry.of<OptimizerEntry>();
  const auto reads = [&](const std::string& name, const std::string& key) {
    const std::vector<std::string>& keys = all.at(name, "optimizer").reads;
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  const auto refuse = [&](const std::string& key, const std::string& with) {
    std::string who;
    for (const std::string& name : all.names())
      if (reads(name, key)) who += (who.empty() ? "" : ", ") + name;
    throw UsageError("optimizer." + key + " does nothing with optimizer.name = " + o.name + "; remove it, or use one of " + who + with);
  };
  const OptimizerOptions usual;
  const std::vector<std::pair<std::string, bool>> given = {{"momentum", o.momentum != usual.momentum},
                                                           {"nesterov", o.nesterov},
                                                           {"dampening", o.dampening != usual.dampening},
                                                           {"momentum_decay", o.momentum_decay != usual.momentum_decay},
                                                           {"trust_coefficient", o.trust_coefficient != usual.trust_coefficient}};
  for (const auto& [key, is_given] : given)
    if (is_given && !reads(o.name, key)) refuse(key, "");
  if (o.dampening != 0 && o.momentum == 0) refuse("dampening", ", with optimizer.momentum");
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& o, const Registry& registry) {
  const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(o.name, "optimizer");
  refuse_idle(o, registry);
  check_schedule(o.schedule, registry);
  const bool decoupled = o.decay == "decoupled" || (o.decay == "auto" && entry.decoupled_by_default);
  return entry.make({.lr = o.lr,
                     .momentum = o.momentum,
                     .dampening = o.dampening,
                     .beta1 = o.beta1,
                     .beta2 = o.beta2,
                     .eps = o.eps,
                     .alpha = o.alpha,
                     .nesterov = o.nesterov,
                     .momentum_decay = o.momentum_decay,
                     .trust_coefficient = o.trust_coefficient,
                     .weight_decay = o.weight_decay,
                     .decoupled = decoupled,
                     .decay_all = o.decay_all,
                     .clip_norm = o.clip_norm,
                     .clip_value = o.clip_value,
                     .schedule = o.schedule,
                     .base_batch = static_cast<double>(o.base_batch),
                     .batch_rule = o.batch_rule});
}

}  // namespace chorale
