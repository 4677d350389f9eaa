// An update rule over blocks of the arena: the one place where parameters change. No exchange has an optimiser loop of its own.
// A rule is a class in a file of its own: it names its state, says what it has to know of the whole gradient before the first block is
// updated, and updates a run of elements with the scalars of their group.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/buffer.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/base/shape.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/core/optim/schedule.hpp>

namespace chorale {

struct OptimizerConfig {
  double lr = 0.001, momentum = 0, dampening = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, alpha = 0.99;
  bool nesterov = false;
  double momentum_decay = 0.004;     // of nadam
  double trust_coefficient = 0.001;  // of lars
  double weight_decay = 0;
  bool decoupled = false;  // decay: subtracted from the parameter (Loshchilov & Hutter 2019), else added to the gradient
  bool decay_all = false;  // norms and biases too, which usual practice leaves out
  double clip_norm = 0, clip_value = 0;
  ScheduleOptions schedule = {};      // who trains sets the rate of each step by it
  double base_batch = 0;              // that lr is meant for; 0: whatever the batch is
  std::string batch_rule = "linear";  // linear, sqrt: in the ratio of batches
};

/// A run of the arena with scalars of its own.
struct ParameterGroup {
  std::int64_t first = 0, last = 0;  // elements [first, last)
  double lr_factor = 1;
  std::int64_t first_step = 1;  // of its updates; before, parameters and state stay as they are, and its own count of steps begins there
  std::int64_t last_step = std::numeric_limits<std::int64_t>::max();  // behind it they stay as they are
  bool decays = true;                                                 // weight_decay acts; and lars and lamb scale by norms
};

/// A trainable tensor, for rules that look at whole ones.
struct ArenaTensor {
  std::string name;
  Shape shape;
  std::int64_t first = 0, count = 0;  // elements of the arena
};

/// What a rule has to know before the first block can be updated.
struct UpdateNeeds {
  int sums = 0;                 // numbers that measure() adds up over each tensor, in f64; 0: nothing is measured
  bool gradient_again = false;  // update() reads the gradient too, after it has been measured
  bool whole = false;           // every rank sees the whole gradient, after measuring
};

/// State beside the arena's layout: every rank has all of it, and computes it alike.
struct OwnTensor {
  std::string name;  // in files: "row_var.0.weight"
  Shape shape;
  std::int64_t first = 0;  // element of own_state()
};

/// One rank, one thread. State lies in the arena's layout and is handed in, so that it can be shared, cut and saved like parameters.
/// A step: begin_step(); where needs() says so, measure() over all blocks, partial_sums() added up over ranks, end_measuring(), see();
/// then apply() over all blocks.
class Optimizer {
 public:
  /// Of a block of at most 4,096 elements.
  static constexpr std::int64_t kBlock = 4096;
  Optimizer(const OptimizerConfig& config, std::vector<std::string> state_names, UpdateNeeds needs = {});
  virtual ~Optimizer() = default;

  const OptimizerConfig& config() const { return config_; }
  const UpdateNeeds& needs() const { return needs_; }
  /// Names of the state buffers, in the order of bind(): "exp_avg", "exp_avg_sq".
  const std::vector<std::string>& state_names() const { return names_; }
  /// Rising tensors of the arena's trainable part, before the first step; a rule that measures nothing and sees nothing does without.
  void lay_out(std::vector<ArenaTensor> tensors, DType dtype);
  /// State buffers of the arena's trainable length, zeroed at step 0.
  void bind(std::vector<Buffer> state) { state_ = std::move(state); }
  const std::vector<Buffer>& state() const { return state_; }
  /// Once laid out, of the same type as the parameters: zeros at first.
  const std::vector<OwnTensor>& own_tensors() const { return own_tensors_; }
  Buffer own_state();

  /// One more state, "ema": an average of the parameters, ema = d ema + (1 - d) p after each update, d being the smaller of `decay` and
  /// (1 + step) / (10 + step), so that an early average forgets the start. Who trains fills it with the first parameters. Before bind().
  void keep_average(double decay);
  /// Number of its state; -1: none is kept.
  std::ptrdiff_t average() const { return average_; }

  /// Rising and without holes over the trainable part of the arena; empty: all parameters are updated alike. Before the first step.
  void set_groups(std::vector<ParameterGroup> groups);

  /// Fixes the scalars of update number `step` (from 1). grad_scale: one over the sum of weights, clipping by norm included.
  void begin_step(std::int64_t step, double grad_scale);
  /// Elements [first, first + n) of the arena, of one block: `gradient` and `parameter` point at the first of them.
  template <class T>
  void measure(const Device& device, const T* parameter, const T* gradient, std::int64_t first, std::int64_t n) {
    each_run(first, n, [&](std::size_t run, std::int64_t from, std::int64_t count) {
      double* sums = partial_sums_.data() + (static_cast<std::size_t>(first / kBlock) + run) * static_cast<std::size_t>(needs_.sums);
      measure_run(device, scalars_[run], block<T>(const_cast<T*>(parameter) + (from - first), gradient + (from - first), from, count),
                  sums);
    });
  }
  /// Of this rank's blocks, 0 for others: of every number one rank has the value, so that adding them up in any order changes nothing.
  std::span<double> partial_sums() { return partial_sums_; }
  /// The sums of tensors, in the order of blocks.
  void end_measuring();
  /// The whole gradient, as apply() is to have it; on every rank.
  template <class T>
  void see(const T* gradient) {
    see_whole(gradient);
  }
  /// As measure(); `gradient` may be null where it is not needed again.
  template <class T>
  void apply(const Device& device, T* parameter, const T* gradient, std::int64_t first, std::int64_t n) const {
    if (runs_.empty()) {
      update_run(device, scalars_[0], block<T>(parameter, gradient, first, n), {});
      return add_to_average(device, parameter, first, n);
    }
    each_run(first, n, [&](std::size_t run, std::int64_t from, std::int64_t count) {
      const T* g = gradient ? gradient + (from - first) : nullptr;
      update_run(device, scalars_[run], block<T>(parameter + (from - first), g, from, count), {run, from - runs_[run].first});
      add_to_average(device, parameter + (from - first), from, count);
    });
  }
  /// Clipping by norm needs the whole gradient before the first update.
  double clip_norm() const { return config_.clip_norm; }
  double lr() const { return config_.lr; }
  void set_lr(double lr) { config_.lr = lr; }

 protected:
  /// Where a run of elements lies, of rules that look at tensors.
  struct Place {
    std::size_t tensor = 0;
    std::int64_t first = 0;  // element of it
  };
  /// What the rule makes of the number of its updates; lr and all that the configuration says is there.
  virtual void count(UpdateScalars& scalars, std::int64_t step) const;
  virtual void update_run(const Device& device, const UpdateScalars& scalars, const Update<float>& run, Place place) const = 0;
  virtual void update_run(const Device& device, const UpdateScalars& scalars, const Update<double>& run, Place place) const = 0;
  // Of rules with needs.
  virtual void measure_run(const Device& device, const UpdateScalars& scalars, const Update<float>& run, double* sums);
  virtual void measure_run(const Device& device, const UpdateScalars& scalars, const Update<double>& run, double* sums);
  virtual void take_sums(UpdateScalars& scalars, std::size_t tensor, std::span<const double> sums);
  virtual void see_whole(const float* gradient);
  virtual void see_whole(const double* gradient);
  /// The own state of that layout.
  virtual std::vector<OwnTensor> own_layout() { return {}; }

  const std::vector<ArenaTensor>& tensors() const { return tensors_; }
  const UpdateScalars& scalars_of(std::size_t tensor) const { return scalars_[tensor]; }
  /// lars and lamb scale by its norm.
  bool is_scaled(std::size_t tensor) const { return runs_[tensor].decays; }
  /// The tensor is updated in this step: none of a group that is still held.
  bool is_due(std::size_t tensor) const { return step_ >= runs_[tensor].first_step && step_ <= runs_[tensor].last_step; }

 private:
  template <class T>
  Update<T> block(T* parameter, const T* gradient, std::int64_t first, std::int64_t n) const {
    const auto state = [&](std::size_t i) { return i < rule_states_ ? state_[i].template as<T>() + first : nullptr; };
    return {.p = parameter, .g = gradient, .s0 = state(0), .s1 = state(1), .n = n};
  }
  template <class T>
  void add_to_average(const Device& device, const T* parameter, std::int64_t first, std::int64_t n) const {
    if (average_ < 0) return;
    T* mean = state_[static_cast<std::size_t>(average_)].template as<T>() + first;
    device.typed<T>().approach(static_cast<T>(average_share_), parameter, mean, n);
  }
  /// The runs that are due in [first, first + n), by number, first element and count.
  template <class F>
  void each_run(std::int64_t first, std::int64_t n, F&& f) const {
    for (std::size_t r = run_at(first); r < runs_.size() && runs_[r].first < first + n; ++r) {
      const std::int64_t from = std::max(first, runs_[r].first), to = std::min(first + n, runs_[r].last);
      if (from < to && is_due(r)) f(r, from, to - from);
    }
  }
  std::size_t run_at(std::int64_t element) const;
  bool looks_at_tensors() const { return needs_.sums > 0 || needs_.whole; }
  void cut_runs();
  UpdateScalars scalars_at(std::int64_t step, const ParameterGroup& run, double grad_scale) const;

  OptimizerConfig config_;
  UpdateNeeds needs_;
  std::vector<std::string> names_;
  std::size_t rule_states_;  // of them are the rule's
  std::ptrdiff_t average_ = -1;
  double average_decay_ = 0, average_share_ = 0;  // share: of the new parameters in this step's average
  std::vector<ArenaTensor> tensors_;
  DType dtype_ = DType::f32;
  std::vector<ParameterGroup> groups_;
  std::vector<ParameterGroup> runs_;    // the groups, or one a tensor where the rule looks at tensors; empty: all alike
  std::vector<UpdateScalars> scalars_;  // by run, or of all
  std::int64_t step_ = 0;
  std::vector<double> partial_sums_;  // [blocks + tensors, needs.sums]: tensor t's in block b at b + t, which no other pair has
  std::vector<Buffer> state_;
  std::vector<OwnTensor> own_tensors_;
  std::vector<double> own_memory_;
  std::int64_t own_elements_ = 0;
};

/// In the Registry under the recipe name.
struct OptimizerEntry {
  std::string help;
  std::unique_ptr<Optimizer> (*make)(const OptimizerConfig& config);
  bool decoupled_by_default = false;
  std::vector<std::string> reads = {};  // keys of the section that not every rule has: "momentum"
};

}  // namespace chorale
