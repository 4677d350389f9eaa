#include <chorale/core/optim/optimizer.hpp>

#include <algorithm>

namespace chorale {

Optimizer::Optimizer(const OptimizerConfig& config, std::vector<std::string> state_names, UpdateNeeds needs)
    : config_(config), needs_(needs), names_(std::move(state_names)), rule_states_(names_.size()) {}

void Optimizer::keep_average(double decay) {
  average_ = static_cast<std::ptrdiff_t>(names_.size());
  average_decay_ = decay;
  names_.push_back("ema");
}

void Optimizer::lay_out(std::vector<ArenaTensor> tensors, DType dtype) {
  tensors_ = std::move(tensors);
  dtype_ = dtype;
  own_tensors_ = own_layout();
  own_elements_ = own_tensors_.empty() ? 0 : own_tensors_.back().first + own_tensors_.back().shape.elements();
  own_memory_.assign(static_cast<std::size_t>(own_elements_), 0);  // room for either type
  const std::int64_t end = tensors_.empty() ? 0 : tensors_.back().first + tensors_.back().count;
  const auto places = static_cast<std::size_t>((end + kBlock - 1) / kBlock) + tensors_.size();
  partial_sums_.assign(places * static_cast<std::size_t>(needs_.sums), 0);
  cut_runs();
}

Buffer Optimizer::own_state() { return {own_memory_.data(), own_elements_, dtype_, {}}; }

void Optimizer::set_groups(std::vector<ParameterGroup> groups) {
  groups_ = std::move(groups);
  cut_runs();
}

void Optimizer::cut_runs() {
  runs_ = groups_;
  if (!looks_at_tensors()) return;
  runs_.clear();
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const ArenaTensor& tensor = tensors_[t];
    ParameterGroup run;
    for (const ParameterGroup& group : groups_)
      if (tensor.first >= group.first && tensor.first < group.last) run = group;
    run.first = tensor.first, run.last = tensor.first + tensor.count;
    runs_.push_back(run);
  }
}

std::size_t Optimizer::run_at(std::int64_t element) const {
  const auto it =
      std::upper_bound(runs_.begin(), runs_.end(), element, [](std::int64_t e, const ParameterGroup& run) { return e < run.last; });
  return static_cast<std::size_t>(it - runs_.begin());
}

void Optimizer::begin_step(std::int64_t step, double grad_scale) {
  if (looks_at_tensors() && tensors_.empty()) throw InternalError("[optimizer] this rule looks at tensors, and none were laid out");
  step_ = step;
  scalars_.clear();
  if (runs_.empty()) scalars_.push_back(scalars_at(step, {}, grad_scale));
  for (const ParameterGroup& run : runs_)
    scalars_.push_back(scalars_at(std::max<std::int64_t>(1, step - run.first_step + 1), run, grad_scale));
  const auto t = static_cast<double>(step);
  average_share_ = 1 - std::min(average_decay_, (1 + t) / (10 + t));
  std::fill(partial_sums_.begin(), partial_sums_.end(), 0);
}

UpdateScalars Optimizer::scalars_at(std::int64_t step, const ParameterGroup& run, double grad_scale) const {
  const double decay = run.decays ? config_.weight_decay : 0;
  UpdateScalars out = {.lr = config_.lr * run.lr_factor,
                       .momentum = config_.momentum,
                       .dampening = config_.dampening,
                       .beta1 = config_.beta1,
                       .beta2 = config_.beta2,
                       .eps = config_.eps,
                       .l2 = config_.decoupled ? 0 : decay,
                       .decoupled = config_.decoupled ? decay : 0,
                       .grad_scale = grad_scale,
                       .clip_value = config_.clip_value,
                       .nesterov = config_.nesterov,
                       .first_step = step == 1};
  count(out, step);
  return out;
}

void Optimizer::end_measuring() {
  const auto sums = static_cast<std::size_t>(needs_.sums);
  std::vector<double> total(sums);
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    if (!is_due(t)) continue;
    std::fill(total.begin(), total.end(), 0);
    const std::int64_t last = tensors_[t].first + std::max<std::int64_t>(tensors_[t].count, 1) - 1;
    for (std::int64_t b = tensors_[t].first / kBlock; b <= last / kBlock; ++b)
      for (std::size_t k = 0; k < sums; ++k) total[k] += partial_sums_[(static_cast<std::size_t>(b) + t) * sums + k];
    take_sums(scalars_[t], t, total);
  }
}

void Optimizer::count(UpdateScalars&, std::int64_t) const {}
void Optimizer::measure_run(const Device&, const UpdateScalars&, const Update<float>&, double*) {}
void Optimizer::measure_run(const Device&, const UpdateScalars&, const Update<double>&, double*) {}
void Optimizer::take_sums(UpdateScalars&, std::size_t, std::span<const double>) {}
void Optimizer::see_whole(const float*) {}
void Optimizer::see_whole(const double*) {}

}  // namespace chorale
