// What a run is told, typed: the sections of a recipe beside [data]. Declared once; launcher, help and documents read the same table.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <chorale/core/base/option.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/data/data_options.hpp>
#include <chorale/core/optim/schedule.hpp>

namespace chorale {

struct ModelOptions {
  std::string kind = "layers";  // layers, resnet, one of tokens: transformer, or one of several tasks: shared_bottom mmoe ple
  std::string layers;           // "linear(128) relu dropout(0.2) linear(1)"
  std::string expert_layers, tower_layers;
  std::vector<std::string> widths = {"16", "32", "64"};  // of resnet: channels of each stage
  std::int64_t blocks = 2;                               // of each stage
  std::int64_t experts = 4, task_experts = 1, levels = 2;
  std::int64_t depth = 4, heads = 4, width = 128, feed_forward = 512;  // of transformer, with those below
  double dropout = 0;
  std::string norm = "pre", activation = "gelu", positions = "learned";
  bool causal = true, tied = false;
  std::string init = "torch";  // torch glorot_uniform glorot_normal he_uniform he_normal
};

struct TrainOptions {
  std::string loss = "binary_cross_entropy";  // of several targets perhaps each its own: see words_of_target
  double huber_delta = 1, label_smoothing = 0, focal_gamma = 2, quantile = 0.5, tweedie_power = 1.5;
  std::int64_t batch = 64;  // global
  std::int64_t epochs = 10;
  std::int64_t steps = 0;  // 0: epochs decide
  std::int64_t seed = 1;
  std::int64_t accumulate = 1;  // parts of each virtual worker's share
  std::string dtype = "f32";
  std::vector<std::string> metrics;
  std::vector<std::string> early_stop;                // "validation.auc 5"
  std::vector<std::string> class_weights;             // one number a class, or "balanced"
  std::vector<std::string> task_weights = {"equal"};  // equal uncertainty, or one number a target
  std::string gradient_surgery = "none";              // none pcgrad
  std::int64_t evaluate_every = 0;                    // steps; 0: by epochs
  std::int64_t evaluate_every_epochs = 1;
  std::string trace;                // "100:110"
  std::int64_t log_every = 0;       // steps between lines of metrics.jsonl; 0: about 20 an epoch
  std::int64_t check_replicas = 0;  // steps; 0: never
  std::string on_nan = "stop";      // stop skip rollback
  double rollback_lr_factor = 0.5;
  std::int64_t rollbacks = 3;
  std::string init_from = {};                                   // a run, a checkpoint or a .safetensors file whose weights are started with
  std::vector<std::string> init_map = {};                       // "a.*=b.*": names in a file of weights to names here
  std::vector<std::string> init_only = {};                      // patterns of ParameterNames; empty: all
  std::vector<std::string> freeze = {};                         // the same
  std::vector<std::string> unfreeze = {}, unfreeze_steps = {};  // "encoder.2:5", in epochs; in updates
  double ema = 0;                                               // decay of the average of parameters; 0: none is kept
};

struct OptimizerOptions {
  std::string name = "adam";
  double lr = 0.001, momentum = 0, dampening = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, alpha = 0.99;
  bool nesterov = false;
  double momentum_decay = 0.004, trust_coefficient = 0.001;  // of nadam; of lars
  double weight_decay = 0;
  std::string decay = "auto";  // l2 decoupled auto: as the rule's authors have it
  double clip_norm = 0, clip_value = 0;
  std::vector<std::string> lr_factors = {};  // "encoder:0.1"
  bool decay_all = false;
  ScheduleOptions schedule = {};
  std::int64_t base_batch = 0;        // that lr is meant for; 0: whatever the batch is
  std::string batch_rule = "linear";  // linear sqrt
};

struct ParallelOptions {
  std::int64_t threads = 1;
  std::int64_t virtual_workers = 0;  // 0: as many as ranks
  std::string exchange = "auto";
  std::string copies = "auto";   // auto node numa: of shared parameters
  std::string balance = "rows";  // rows cost: what virtual workers get equal parts of
  std::string wire = "f32";      // f32 bf16: how sums travel between nodes
  std::string overlap = "auto";  // auto thread layers: who carries buckets between nodes during backward
  std::int64_t local_steps = 8;
  double outer_lr = 1, outer_momentum = 0;  // of local_sgd
  std::string isa = "auto";                 // auto baseline avx2 avx512: at most this instruction set
};

struct WatchdogOptions {
  double seconds = 60;
};

struct CheckpointOptions {
  std::int64_t every_steps = 0;
  std::int64_t every_epochs = 1;  // where neither steps nor seconds nor `auto` decide; 0: only at the end
  double every_seconds = 0;
  std::string every = "given";  // given auto
  double mtbf_hours = 24;       // for auto
  std::int64_t keep_last = 2, keep_best = 0, keep_every = 0;
  std::string on_error = "warn";  // warn stop
  bool background = true;
};

/// A whole recipe.
struct Settings {
  DataOptions data;
  ModelOptions model;
  TrainOptions train;
  OptimizerOptions optimizer;
  ParallelOptions parallel;
  CheckpointOptions checkpoint;
  WatchdogOptions watchdog;
};

/// The loss of target t, a registered name, from the text of train.loss. Throws UsageError where it says nothing of that target, or
/// several.
std::string loss_of_target(const std::string& text, const std::vector<std::string>& targets, std::size_t t);

using KeyTexts = std::vector<std::pair<std::string, std::string>>;

/// The keys of one section with their values, of options that a program may have filled in itself. Throws UsageError for what a recipe may
/// not say either.
KeyTexts checked_texts(const ParallelOptions& options, const Registry& registry);
KeyTexts checked_texts(const OptimizerOptions& options, const Registry& registry);

/// Declares every key of a recipe. The registry gives the choices of losses and optimisers.
void describe(OptionTable& table, Settings& settings, const Registry& registry);

}  // namespace chorale
