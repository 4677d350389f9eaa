// An update rule over blocks of the arena: the one place where parameters change. No exchange has an optimiser loop of its own.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/base/buffer.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/device/device.hpp>

namespace chorale {

struct OptimizerConfig {
  double lr = 0.001, momentum = 0, dampening = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, alpha = 0.99;
  bool nesterov = false;
  double weight_decay = 0;
  bool decoupled = false;  // decay: subtracted from the parameter (Loshchilov & Hutter 2019), else added to the gradient
  double clip_norm = 0, clip_value = 0;
};

/// A run of the arena with a rate of its own.
struct ParameterGroup {
  std::int64_t first = 0, last = 0;  // elements [first, last)
  double lr_factor = 1;
  std::int64_t first_step = 1;  // of its updates; before, parameters and state stay as they are, and its own count of steps begins there
  std::int64_t last_step = std::numeric_limits<std::int64_t>::max();  // behind it they stay as they are
};

/// One rank, one thread. State lies in the arena's layout and is handed in, so that it can be shared, cut and saved like parameters.
class Optimizer {
 public:
  Optimizer(Rule rule, const OptimizerConfig& config);
  virtual ~Optimizer() = default;

  /// Names of the state buffers, in the order of bind(): "exp_avg", "exp_avg_sq".
  const std::vector<std::string>& state_names() const { return names_; }
  /// State buffers of the arena's trainable length, zeroed at step 0.
  void bind(std::vector<Buffer> state) { state_ = std::move(state); }
  const std::vector<Buffer>& state() const { return state_; }

  /// Rising and without holes over the trainable part of the arena; empty: all parameters are updated alike. Before the first step.
  void set_groups(std::vector<ParameterGroup> groups) { groups_ = std::move(groups); }

  /// Fixes the scalars of update number `step` (from 1). grad_scale: one over the sum of weights, clipping by norm included.
  void begin_step(std::int64_t step, double grad_scale);
  /// Elements [first, first + n) of the arena: `gradient` and `parameter` point at the first of them. At most a block at a time.
  template <class T>
  void apply(const Device& device, T* parameter, const T* gradient, std::int64_t first, std::int64_t n) const {
    if (groups_.empty()) return apply_run(device, scalars_, parameter, gradient, first, n);
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::int64_t from = std::max(first, groups_[g].first), to = std::min(first + n, groups_[g].last);
      if (from >= to || step_ < groups_[g].first_step || step_ > groups_[g].last_step) continue;
      apply_run(device, group_scalars_[g], parameter + (from - first), gradient + (from - first), from, to - from);
    }
  }
  /// Clipping by norm needs the whole gradient before the first update.
  double clip_norm() const { return config_.clip_norm; }
  double lr() const { return config_.lr; }
  void set_lr(double lr) { config_.lr = lr; }

 private:
  template <class T>
  void apply_run(const Device& device, const UpdateScalars& scalars, T* parameter, const T* gradient, std::int64_t first,
                 std::int64_t n) const {
    const auto state = [&](std::size_t i) { return i < state_.size() ? state_[i].template as<T>() + first : nullptr; };
    device.typed<T>().update(rule_, scalars, {.p = parameter, .g = gradient, .s0 = state(0), .s1 = state(1), .n = n});
  }
  UpdateScalars scalars_of(std::int64_t step, double lr, double grad_scale) const;

  Rule rule_;
  OptimizerConfig config_;
  UpdateScalars scalars_;
  std::vector<ParameterGroup> groups_;
  std::vector<UpdateScalars> group_scalars_;
  std::int64_t step_ = 0;
  std::vector<std::string> names_;
  std::vector<Buffer> state_;
};

/// In the Registry under the recipe name.
struct OptimizerEntry {
  std::string help;
  std::unique_ptr<Optimizer> (*make)(const OptimizerConfig& config);
  bool decoupled_by_default = false;
};

}  // namespace chorale
