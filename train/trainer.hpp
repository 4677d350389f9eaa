// Trains a module on however many ranks there are. Every rank builds the same module, loss and optimiser and calls run(); no other
// communication is needed.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/data/dataset.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/callback.hpp>
#include <chorale/train/checkpointing.hpp>
#include <chorale/train/data_parallel.hpp>
#include <chorale/train/evaluator.hpp>
#include <chorale/train/gradient_surgery.hpp>
#include <chorale/train/parameter_groups.hpp>
#include <chorale/train/rate_schedule.hpp>
#include <chorale/train/replica.hpp>
#include <chorale/train/save_schedule.hpp>
#include <chorale/train/settings.hpp>
#include <chorale/train/slow_link.hpp>
#include <chorale/train/step_deadline.hpp>
#include <chorale/train/step_statistics.hpp>
#include <chorale/train/straggler.hpp>
#include <chorale/train/trace_file.hpp>
#include <chorale/train/training_hook.hpp>

namespace chorale {

struct TrainerConfig {
  TrainOptions train;
  ParallelOptions parallel;
  CheckpointOptions checkpoint;
  WatchdogOptions watchdog = {};
  std::vector<std::string> lr_factors = {};            // of optimizer.lr_factors
  std::function<double(std::int64_t step)> rate = {};  // of each update, from 1, in place of the optimiser's schedule
  std::string init = "torch";
  std::function<void(const FlatParams&)> starting_weights = {};  // writes over what was drawn, on each rank that fills; not at a resume
  std::string checkpoint_folder;                                 // empty: none are written
  bool resume = false;
  std::map<std::string, std::string> identity;             // settings that a resumed run may not change
  std::vector<std::pair<std::string, std::string>> texts;  // small files that every checkpoint carries (fitted preprocessing, recipe)
  std::function<Stop()> stop_requested;                    // asked once a step
  std::function<void()> still_ours;                        // of CheckpointWriter, on rank 0
  std::function<void(SavePoint)> at_save;                  // on every rank, also from its writing thread
  bool final_evaluation = true;
  HoldRule hold = {};       // behind its step the run goes on from its best weights, whose scores begin anew where the hook says so
  bool stops_early = true;  // false: the best weights are kept, and all steps are made
  TraceWindow trace;        // empty: none
  std::string trace_file;
};

/// The batch of the step under way, worker by worker: what messages call its samples (Dataset::row_id).
struct BatchInFlight {
  std::int64_t step = 0;
  std::vector<std::vector<std::int64_t>> samples = {};
};

struct TrainerParts {
  Communicator& comm;
  Device& device;
  Module& model;
  Objective& loss;
  Optimizer& optimizer;
  const Registry& registry;
  Log& log;
  std::shared_ptr<const Dataset> train, validation, test;  // the last two may be null
  std::function<int(int local_rank)> domain_of = {};       // as DataParallel::Parts
  TrialPace pace = {};                                     // of exchange = auto
  std::vector<Aim> aims = {};                              // as Replica::Parts
  TrainingHook* hook = nullptr;                            // outlives the trainer
  std::function<bool(std::string_view)> is_shared = {};    // of train.gradient_surgery: does this parameter serve several tasks?
};

/// One thread a rank; every call is collective.
class Trainer {
 public:
  /// Throws UsageError, equal on all ranks, for sizes that do not fit: batch below virtual workers, more ranks than virtual workers or
  /// rows.
  Trainer(const TrainerParts& parts, const TrainerConfig& config);  // parts.comm's deadlines are config.watchdog's from here on
  /// Called on rank 0 only, in the order of adding. Must outlive run().
  void add(Callback& callback) { callbacks_.push_back(&callback); }
  /// Trains to the end, to early stopping, or to a stop request. Throws NumericError on all ranks at the same step when a loss is not
  /// finite.
  Summary run();
  FlatParams& params() { return params_; }
  /// Updates so far; after the constructor those of the checkpoint that it resumes from.
  std::int64_t step() const { return step_; }
  /// When run() has thrown inside a step; of all ranks, the same on each of them. Empty elsewhere. No communication.
  std::optional<BatchInFlight> batch_in_flight() const;
  /// Of gradients and parameters, that this rank puts on the wire between nodes in a step.
  std::uint64_t bytes_per_step() const { return replicas_->bytes_per_step(); }

 private:
  void check_sizes() const;
  void check_memory_need() const;
  void check_costs() const;
  void make_groups();
  void make_rate();
  double rate_of(std::int64_t step) const;
  bool keeps_average() const { return parts_.optimizer.average() >= 0; }
  std::span<const double> costs() const;  // empty: workers get equal numbers of rows
  void allocate();
  void restore();
  /// What forbids to go on from there; empty: nothing. is_read: tensors have been; before, another model is left to them, which say more.
  std::string change_from(const RunPosition& found, bool is_read) const;
  void check_model() const;  // before a node's ranks share memory of its size
  void check_ranks();
  void one_step();
  bool traces() const { return !config_.trace.is_empty() && !config_.trace_file.empty(); }
  void trace_window();
  void end_trace();
  std::span<const Buffer> compute();
  void compute_by_task();
  StepOutcome compute_and_exchange();
  void after_good_step(const StepOutcome& outcome, std::int64_t samples, double ms);
  // bad_loss.cpp: train.on_nan.
  void after_bad_loss(const StepOutcome& outcome);
  int owner_of(std::int64_t worker) const;  // the rank that holds that virtual worker
  std::string bad_loss_text(const StepOutcome& outcome);
  void skip(const StepOutcome& outcome, const std::string& why);
  void roll_back(const std::string& why, bool is_own);
  void take_position(const RunPosition& position);
  void refuse_policy() const;
  void say_what_checks_miss() const;
  void make_surgery();
  void spoil(Fault::Kind kind);  // for tests of failures
  void check_replicas_if_due();
  void name_who_is_slow(double step_ms);
  void tell_step(const StepOutcome& outcome, double step_ms);
  void after_step();
  bool evaluation_due(std::int64_t step) const;
  bool evaluates_after(std::int64_t step) const;
  bool saves_after(std::int64_t step) const;
  void evaluate_now();
  void evaluate_weights();
  void lower_rate(const EvaluationEvent& event);
  void end_weights(Summary& summary, bool has_best);
  bool goes_back_after(std::int64_t step) const;
  void go_back();
  Scores judged_scores(Scores scores) const;
  void make_checkpointing();
  std::string checkpoints_text() const;
  SaveReport save_report() const;
  void go_on_with_save();
  void start_save();
  void end_save(const SaveOutcome& outcome, bool final);
  void wait_for_save(bool final);
  void last_save();
  void finish(Summary& summary);
  std::int64_t total_steps() const;
  bool finished() const { return stopped_ != Stop::none || should_stop_early() || step_ >= total_steps(); }
  bool should_stop_early() const { return config_.stops_early && early_.should_stop(); }
  void tell(const std::function<void(Callback&)>& f);
  std::string hash_of(Buffer values) const;

  TrainerParts parts_;
  TrainerConfig config_;
  FlatParams params_;
  Sampler sampler_;
  ParameterGroups groups_;
  RateSchedule rate_;
  std::optional<BatchCut> cut_;  // of the step under way
  std::int64_t workers_ = 0, step_ = 0, first_step_ = 0, saved_step_ = -1, failed_saves_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  Stop stopped_ = Stop::none;
  bool evaluation_missed_ = false, was_trying_ = false, in_step_ = false;
  EarlyStopping early_;
  Buffer best_;     // one copy a node
  Buffer current_;  // the parameters while their average is in their place; one copy a node
  Trace trace_;
  std::unique_ptr<DataParallel> replicas_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<BatchStatistics> batch_statistics_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<GradientSurgery> surgery_;  // null: none
  std::unique_ptr<Checkpointing> checkpointing_;
  bool state_is_gathered_ = false;  // for the save that is pending
  SaveSchedule schedule_;
  SaveReport heard_;                      // what ranks said of checkpoints in the last step
  std::optional<CheckpointScore> score_;  // of the parameters of score_step_
  std::int64_t score_step_ = -1;
  struct SaveCost {
    double pause_ms = 0, steps_ms = 0, usual_ms = 0;
  } save_cost_;  // of the pending one
  Summary saves_told_;
  std::vector<Subtree> held_;
  std::vector<WorkerReport> reports_;
  RankReport last_;
  StepStatistics statistics_;
  StepDeadline deadline_;
  Straggler straggler_;
  SlowLink slow_link_;
  double lr_ = 0, lr_factor_ = 1;  // as given; what rollbacks have made of it
  std::int64_t skipped_ = 0, rollbacks_ = 0, checked_step_ = 0;
  double epoch_loss_ = 0, epoch_weight_ = 0, last_loss_ = 0;
  std::vector<Callback*> callbacks_;
};

/// From settings, with the registry's catalogues. class_rows: training rows by class, for class_weights = balanced.
std::unique_ptr<Loss> make_loss(const TrainOptions& options, const std::vector<std::int64_t>& class_rows, const Registry& registry);
/// Of target t alone, by its own words of train.loss and train.class_weights.
std::unique_ptr<Loss> make_target_loss(const TrainOptions& options, const std::vector<FittedTarget>& targets, std::size_t t,
                                       const Registry& registry);
/// One loss, or those of all targets. Throws UsageError for options that do nothing with one target, or do not fit the targets.
std::unique_ptr<Objective> make_objective(const TrainOptions& options, const std::vector<FittedTarget>& targets, const Registry& registry);
/// Does the model need a log variance of each task?
bool learns_task_weights(const TrainOptions& options);
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const Registry& registry);

}  // namespace chorale
