// What a collaboration is asked to do, equal on all ranks of a task.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/train/collab/row_wire.hpp>

namespace chorale {

/// What a study holds a collaboration against, at equal parameters, stages and work. Of trunk and stitch nothing is published, and their
/// controls are other tasks in the places of peers.
enum class Control : std::uint8_t {
  none,
  matched,    // own knowledge in place of the peers': a projection of the row's features, own predictions, own prototypes
  shuffled,   // what peers tell is of other entities
  untrained,  // what peers tell is made by models that have learnt nothing
};

/// What a task does whose own steps are made, or whose early stopping has waited long enough, while others still train.
enum class AtEnd : std::uint8_t {
  cycle,  // its sampler goes on
  serve,  // it makes no more steps, goes back to its best weights, and publishes what they make of its rows
  mask,   // it makes steps of which nothing comes, and publishes by the sweep alone
};

struct SharingPlan {
  std::int64_t steps_per_tick = 50;
  std::int64_t ticks = 0;          // of the whole run, equal for all tasks
  std::int64_t burn_in_ticks = 0;  // at first all train alone: what comes in is not used
  std::int64_t probe_ticks = 0;    // then the fusion learns alone for so many
  std::int64_t first_tick = 0;     // ticks before this task's first step
  std::int64_t save_ticks = 0;     // ticks between checkpoints of all tasks; 0: only at the end
  std::int64_t final_ticks = 0;   // at the end: all rows are made anew of each task's best weights, and the fusion alone learns on; 0: none
  std::int64_t sweep_ticks = 10;  // a sweep over all rows of the table takes so many ticks; 0: no sweep
  AtEnd at_end = AtEnd::cycle;
  std::int64_t last_tick = 0;  // of the task's own steps
  std::int64_t patience = 0;   // of early stopping, in evaluations; 0: none
  /// At which all rows are made anew; 0: at none.
  std::int64_t final_tick() const { return final_ticks > 0 ? ticks - final_ticks : 0; }
  /// Whether it is that one, or a later one.
  bool is_final(std::int64_t tick) const { return final_ticks > 0 && tick >= final_tick(); }
};

struct DistillOptions {
  bool by_checkpoint = false;  // peers' weights of the last tick say what they make of a row; else their predictions are told
  double weight = 0.5, temperature = 2;
  double ramp = 0.2;            // share of the ticks, after the burn-in, in which the weight grows from 0
  std::int64_t entities = 256;  // whose logits are told at a tick
  double share = 0.5;           // rows of them in a step, beside one of the batch
};

struct ProtoOptions {
  std::string key = {};  // a kind of entity, or a column, that tasks have in common
  double weight = 0.1;
};

struct AlignOptions {
  double weight = 0.1, off_diagonal = 0.005;
};

struct TrunkPlan {
  std::vector<std::string> parameters;  // patterns of names; empty: all layers before the head
  std::int64_t average_every = 0;       // ticks between averagings of values; 0: gradients are shared at every step
  bool pcgrad = false;
  bool scales = false;        // each task multiplies common weights by a matrix of rank one of its own
  double uncertainty_lr = 0;  // 0: weights stay as given
  std::uint64_t seed = 1;
  bool is_given = false;           // this task's model starts with weights of another run
  std::vector<std::string> given;  // of these parameters, patterns; empty: of all
};

struct StitchPlan {
  std::string layer = {};  // name of the layer behind which tasks are stitched; empty: the one before the head
  bool channels = false;   // each value of the layer has alphas of its own; else one for a pair of tasks
};

struct CollabOptions {
  std::vector<std::string> strategies = {"store"};  // in this order; names of the Registry
  std::int64_t width = 8;
  std::string store = "auto";    // form of the store: auto, replicated, sharded
  double keep = 0;               // as StoreOptions
  RowWire wire = RowWire::f32;   // of vectors
  double clip = 0, noise = 0;    // as EntitySums::bound()
  std::uint64_t noise_seed = 1;  // of this task
  bool exports_features = true;  // as FusionOptions
  DistillOptions distill = {};
  ProtoOptions proto = {};
  AlignOptions align = {};
  SharingPlan plan;
  bool guard = true;
  TrunkPlan trunk = {};
  StitchPlan stitch = {};
  Control control = Control::none;
  std::uint64_t control_seed = 1;  // of what a control draws
};

}  // namespace chorale
