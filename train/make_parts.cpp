// Loss and optimiser from the words of a recipe.
#include <cstdlib>
#include <numeric>

#include <chorale/train/trainer.hpp>

namespace chorale {

std::unique_ptr<Loss> make_loss(const TrainOptions& options, const std::vector<std::int64_t>& class_rows, const Registry& registry) {
  LossOptions out{.class_weights = {}, .huber_delta = options.huber_delta};
  const bool balanced = options.class_weights.size() == 1 && options.class_weights[0] == "balanced";
  if (balanced) {  // rows / (classes * rows of the class), as scikit-learn's "balanced"
    if (class_rows.empty()) throw UsageError("train.class_weights = balanced needs a target of classes");
    const double rows = static_cast<double>(std::accumulate(class_rows.begin(), class_rows.end(), std::int64_t{0}));
    for (const std::int64_t n : class_rows)
      out.class_weights.push_back(rows / (static_cast<double>(class_rows.size()) * static_cast<double>(std::max<std::int64_t>(n, 1))));
  } else {
    for (const std::string& word : options.class_weights) {
      char* end = nullptr;
      const double w = std::strtod(word.c_str(), &end);
      if (*end || !(w >= 0))
        throw UsageError("train.class_weights = " + word + " is refused: expected one number of at least 0 a class, or balanced");
      out.class_weights.push_back(w);
    }
  }
  return registry.of<LossEntry>().at(options.loss, "loss").make(out);
}

namespace {

/// An option that a rule of ours would pass over in silence. What other rules read is theirs to say.
void refuse_idle(const OptimizerOptions& o) {
  if (o.name != "sgd" && o.name != "adam" && o.name != "adamw" && o.name != "rmsprop" && o.name != "adagrad") return;
  const auto refuse = [&](const std::string& key, const std::string& who) {
    throw UsageError("optimizer." + key + " does nothing with optimizer.name = " + o.name + "; remove it, or use " + who);
  };
  if (o.momentum != 0 && o.name != "sgd" && o.name != "rmsprop") refuse("momentum", "sgd or rmsprop");
  if (o.nesterov && o.name != "sgd") refuse("nesterov", "sgd");
  if (o.dampening != 0 && (o.name != "sgd" || o.momentum == 0)) refuse("dampening", "sgd with optimizer.momentum");
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& o, const Registry& registry) {
  const OptimizerEntry& entry = registry.of<OptimizerEntry>().at(o.name, "optimizer");
  refuse_idle(o);
  const bool decoupled = o.decay == "decoupled" || (o.decay == "auto" && entry.decoupled_by_default);
  return entry.make({.lr = o.lr,
                     .momentum = o.momentum,
                     .dampening = o.dampening,
                     .beta1 = o.beta1,
                     .beta2 = o.beta2,
                     .eps = o.eps,
                     .alpha = o.alpha,
                     .nesterov = o.nesterov,
                     .weight_decay = o.weight_decay,
                     .decoupled = decoupled,
                     .clip_norm = o.clip_norm,
                     .clip_value = o.clip_value});
}

}  // namespace chorale
