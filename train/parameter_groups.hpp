// Parameters that are not all trained alike: frozen ones, ones that are held for a while (gradual unfreezing, Howard & Ruder 2018, ULMFiT),
// and rates of their own (discriminative fine-tuning, the same paper). Norms and biases have no weight decay.
// A frozen parameter lies in the arena's frozen segment: no gradient, no optimiser state, nothing is communicated. The segment is fixed
// when the arena is laid out, and with it state, buckets and owners. One that is held until a step is therefore trainable from the start
// and merely not touched before: no graph is recorded through it, its gradient is an exact 0, and the optimiser passes over it. When it is
// let go, its state is as new as at step 0, and so is its count of steps (bias correction of Adam).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/parameter_pattern.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Moves what train.freeze means into the frozen segment, except for what train.unfreeze or train.unfreeze_steps lets go later. Before the
/// arena is laid out. Returns the model. Throws UsageError for a pattern without a parameter, and where nothing is left to train.
Module& freeze(Module& model, const TrainOptions& options);

/// "PATTERN:NUMBER", as train.unfreeze and optimizer.lr_factors say it. Throws UsageError; what: of the number.
struct PatternNumber {
  std::string pattern;
  double number = 0;
};
std::vector<PatternNumber> parse_pattern_numbers(const std::string& key, const std::vector<std::string>& words, const std::string& what);

/// One thread. A pure function of rules and step, the same on all ranks and after a resume.
class ParameterGroups {
 public:
  /// lr_factors: of optimizer.lr_factors. Throws UsageError for patterns without a parameter. Weight decay leaves out parameters of one
  /// dimension, norms and biases, unless `optimizer` is to decay all.
  ParameterGroups(FlatParams& params, const TrainOptions& options, const std::vector<std::string>& lr_factors, const Optimizer& optimizer,
                  std::int64_t steps_per_epoch);
  /// Runs of the arena for Optimizer::set_groups; empty: all are trained alike.
  std::vector<ParameterGroup> groups() const;
  /// Before the forward pass of update `step` (from 1): who takes part in it.
  void begin_step(std::int64_t step);
  /// Some parameter is held at first.
  bool holds() const { return holds_; }
  /// How many parameters weight decay leaves out.
  std::int64_t without_decay() const;
  /// What a start says: "3.weight from step 36, at 0.1 times the rate"; empty where all are trained alike.
  std::string text() const;

 private:
  struct Rule {
    double lr_factor = 1;
    std::int64_t first_step = 1;
    bool decays = true;
    bool operator==(const Rule&) const = default;
  };
  FlatParams& params_;
  std::vector<Rule> rules_;  // by entry of the arena
  bool holds_ = false;
};

}  // namespace chorale
