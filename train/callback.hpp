// What a run tells whoever listens: progress bar, metrics.jsonl, curves. Called on rank 0 only, on the training thread, between steps.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chorale {

/// Milliseconds of a step by phase; waiting for others counts as communicate, the fused reduce and update as update.
struct Phases {
  double data = 0, forward = 0, backward = 0, communicate = 0, update = 0;
};

struct RunFacts {
  int world_size = 1, nodes = 1;
  std::int64_t virtual_workers = 1, threads_per_rank = 1;
  std::int64_t parameters = 0, batch = 0, epochs = 0, steps_per_epoch = 0, total_steps = 0, first_step = 0;
  std::int64_t train_rows = 0, validation_rows = 0, test_rows = 0;
  std::string device, backend, exchange;
  std::string copies;       // of the parameters
  std::string overlap;      // who carries gradients between nodes during backward; empty: nothing is to be carried
  std::string checkpoints;  // when and how they are written; empty: not at all
};

/// After each step; cheap for the callee to ignore.
struct StepEvent {
  std::int64_t step = 0;   // updates done, 1 after the first
  std::int64_t epoch = 0;  // of this step, from 0
  std::int64_t step_in_epoch = 0;
  double loss = 0;  // weighted mean over the global batch
  double lr = 0;
  double samples_per_second = 0;  // smoothed, evaluation excluded
  double step_ms = 0;
  Phases min_ms = {}, mean_ms = {}, max_ms = {};  // over ranks; filled when `logged`
  bool logged = false;                            // every train.log_every steps
};

/// After an evaluation: "loss" and the metrics of train.metrics by part ("train", "validation", "test").
struct EvaluationEvent {
  std::int64_t step = 0, epoch = 0;
  std::map<std::string, std::map<std::string, double>> scores;
  bool best = false;  // the early-stopping score has improved
  bool final = false;
  double seconds = 0;
};

/// A save that is over. Times are rank 0's.
struct CheckpointEvent {
  std::int64_t step = 0;
  std::string folder;
  std::string error;    // why there is none; empty: there is
  double pause_ms = 0;  // that training stood still at the step boundary
  double write_ms = 0;  // from there until all ranks knew
  double steps_ms = 0;  // that the steps meanwhile took longer than those before
  std::uint64_t bytes = 0;
  bool in_background = false;
};

/// The fields of summary.json, under the same names.
struct Summary {
  std::string status = "failed";  // done early_stopped checkpointed interrupted failed
  int world_size = 1;
  std::int64_t virtual_workers = 1, threads_per_rank = 1, parameters = 0, steps = 0, epochs = 0;
  std::string parameters_hash, best_parameters_hash;
  std::string ema_parameters_hash;  // empty: no average was kept
  double samples_per_second = 0;
  double step_ms_p10 = 0, step_ms_p50 = 0, step_ms_p90 = 0;
  Phases phases_ms;
  std::map<std::string, std::map<std::string, double>> metrics;  // part -> name -> value; NaN becomes null
  std::int64_t checkpoints_written = 0, checkpoints_failed = 0;
  double checkpoint_pause_ms = 0, checkpoint_write_ms = 0;  // means of those written
  double seconds_total = 0;
  std::int64_t skipped_steps = 0, rollbacks = 0;  // train.on_nan
  std::string version;
};

class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_start(const RunFacts&) {}
  virtual void on_step(const StepEvent&) {}
  virtual void on_evaluation(const EvaluationEvent&) {}
  virtual void on_checkpoint(const CheckpointEvent&) {}
  /// Also after a stop request; not after an error.
  virtual void on_end(const Summary&) {}
};

}  // namespace chorale
