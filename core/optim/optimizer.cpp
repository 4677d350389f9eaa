#include <chorale/core/optim/optimizer.hpp>

#include <cmath>

namespace chorale {

namespace {
std::vector<std::string> names_of(Rule rule, const OptimizerConfig& config) {
  switch (rule) {
    case Rule::sgd:
      return config.momentum != 0 ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{};
    case Rule::adam:
      return {"exp_avg", "exp_avg_sq"};
    case Rule::rmsprop:
      return config.momentum != 0 ? std::vector<std::string>{"square_avg", "momentum_buffer"} : std::vector<std::string>{"square_avg"};
    case Rule::adagrad:
      return {"sum"};
  }
  return {};
}
}  // namespace

Optimizer::Optimizer(Rule rule, const OptimizerConfig& config) : rule_(rule), config_(config), names_(names_of(rule, config)) {
  if (config.nesterov && (config.momentum <= 0 || config.dampening != 0))
    throw UsageError("optimizer.nesterov needs optimizer.momentum above 0 and no dampening");
}

void Optimizer::begin_step(std::int64_t step, double grad_scale) {
  step_ = step;
  scalars_ = scalars_of(step, config_.lr, grad_scale);
  group_scalars_.clear();
  for (const ParameterGroup& group : groups_)
    group_scalars_.push_back(scalars_of(std::max<std::int64_t>(1, step - group.first_step + 1), config_.lr * group.lr_factor, grad_scale));
}

UpdateScalars Optimizer::scalars_of(std::int64_t step, double lr, double grad_scale) const {
  const double t = static_cast<double>(step);
  UpdateScalars out = {.lr = lr,
                       .momentum = config_.momentum,
                       .dampening = config_.dampening,
                       .beta1 = config_.beta1,
                       .beta2 = config_.beta2,
                       .eps = config_.eps,
                       .l2 = config_.decoupled ? 0 : config_.weight_decay,
                       .decoupled = config_.decoupled ? config_.weight_decay : 0,
                       .grad_scale = grad_scale,
                       .clip_value = config_.clip_value,
                       .nesterov = config_.nesterov,
                       .first_step = step == 1};
  if (rule_ == Rule::rmsprop) out.beta2 = config_.alpha;
  if (rule_ != Rule::adam) return out;
  out.correction1 = 1 / (1 - std::pow(config_.beta1, t));
  out.correction2 = 1 / (1 - std::pow(config_.beta2, t));
  return out;
}

void register_optimizers(Registry& registry) {
  auto& all = registry.of<OptimizerEntry>();
  all.add("sgd", {"gradient descent, with momentum and Nesterov's form",
                  [](const OptimizerConfig& c) { return std::make_unique<Optimizer>(Rule::sgd, c); }});
  all.add("adam", {"Kingma & Ba 2015", [](const OptimizerConfig& c) { return std::make_unique<Optimizer>(Rule::adam, c); }});
  all.add("adamw", {"Adam with decoupled decay, Loshchilov & Hutter 2019",
                    [](const OptimizerConfig& c) { return std::make_unique<Optimizer>(Rule::adam, c); }, true});
  all.add("rmsprop", {"Hinton 2012, smoothing optimizer.alpha",
                      [](const OptimizerConfig& c) { return std::make_unique<Optimizer>(Rule::rmsprop, c); }});
  all.add("adagrad", {"Duchi et al. 2011", [](const OptimizerConfig& c) { return std::make_unique<Optimizer>(Rule::adagrad, c); }});
}

}  // namespace chorale
