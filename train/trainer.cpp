#include <chorale/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <chorale/train/elapsed.hpp>
#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
}  // namespace

std::int64_t Trainer::total_steps() const {
  return config_.train.steps > 0 ? config_.train.steps : config_.train.epochs * sampler_.steps_per_epoch();
}

void Trainer::tell(const std::function<void(Callback&)>& f) {
  if (parts_.comm.rank() == 0)
    for (Callback* callback : callbacks_) f(*callback);
}

Summary Trainer::run() {
  const Clock::time_point start = Clock::now();
  Summary summary;
  tell([&](Callback& c) {
    c.on_start({.world_size = parts_.comm.size(),
                .nodes = parts_.comm.node_count(),
                .virtual_workers = workers_,
                .threads_per_rank = config_.parallel.threads,
                .parameters = params_.parameter_count(),
                .batch = config_.train.batch,
                .epochs = config_.train.epochs,
                .steps_per_epoch = sampler_.steps_per_epoch(),
                .total_steps = total_steps(),
                .first_step = step_,
                .train_rows = parts_.train->rows(),
                .validation_rows = parts_.validation ? parts_.validation->rows() : 0,
                .test_rows = parts_.test ? parts_.test->rows() : 0,
                .device = parts_.device.text(),
                .backend = std::string(parts_.comm.backend()),
                .exchange = replicas_->text(),
                .copies = replicas_->copies_text(),
                .overlap = replicas_->overlap_text(),
                .checkpoints = checkpoints_text()});
  });
  if (evaluation_missed_ && parts_.validation) evaluate_now(), saved_step_ = -1;  // the checkpoint lacks what this evaluation found
  evaluation_missed_ = false;
  while (!finished()) {
    one_step();
    after_step();
  }
  finish(summary);
  summary.seconds_total = ms_since(start) / 1000;
  parts_.comm.watch().enter(Activity::ending);
  tell([&](Callback& c) { c.on_end(summary); });
  return summary;
}

void Trainer::trace_window() {
  const std::int64_t next = step_ + 1;
  if (next == config_.trace.first) parts_.comm.barrier("trace").wait();  // ranks' clocks count from here
  if (next == config_.trace.first) trace_.open();
  if (next == config_.trace.last + 1) end_trace();
}

void Trainer::end_trace() {
  if (!trace_.is_on()) return;
  trace_.close();
  try {
    write_trace(parts_.comm, trace_, config_.trace_file);
  } catch (const IoError& e) {  // equal on all ranks; a run is worth more than its picture
    if (parts_.comm.rank() == 0) parts_.log.warning("the trace is not written, training goes on: " + std::string(e.what()));
  }
}

void Trainer::one_step() {
  if (traces()) trace_window();
  const Clock::time_point start = Clock::now();
  parts_.comm.watch().begin_step(step_ + 1);
  const std::int64_t per_epoch = sampler_.steps_per_epoch();
  const std::span<const std::int64_t> batch = sampler_.rows(step_ / per_epoch, step_ % per_epoch);
  cut_->take(batch);
  groups_.begin_step(step_ + 1);
  parts_.optimizer.set_lr(rate_of(step_ + 1));
  const std::string name = traces() ? "step " + std::to_string(step_ + 1) : "";
  std::optional<TraceSpan> span(std::in_place, &trace_, name);
  in_step_ = true;
  const StepOutcome outcome = compute_and_exchange();
  span.reset();
  in_step_ = outcome.bad_worker >= 0;
  if (in_step_)
    after_bad_loss(outcome);
  else
    after_good_step(outcome, static_cast<std::int64_t>(batch.size()), ms_since(start));
  in_step_ = false;
}

void Trainer::after_good_step(const StepOutcome& outcome, std::int64_t samples, double ms) {
  ++step_;
  stopped_ = outcome.stop;
  heard_ = outcome.save;
  spoil(Fault::Kind::bitflip);
  epoch_loss_ += outcome.loss, epoch_weight_ += outcome.weight;
  if (checkpointing_ && checkpointing_->saves().is_pending()) save_cost_.steps_ms += std::max(0.0, ms - save_cost_.usual_ms);
  if (was_trying_ && !replicas_->is_trying()) statistics_ = {};  // the steady state begins
  was_trying_ = replicas_->is_trying();
  if (step_ > first_step_ + 1) statistics_.add(ms, samples, replicas_->phases());
  if (deadline_.add(replicas_->phases())) parts_.comm.set_step_timeout_ms(deadline_.ms());
  if (parts_.comm.rank() == 0) name_who_is_slow(ms);
  tell_step(outcome, ms);
}

void Trainer::name_who_is_slow(double step_ms) {
  if (const auto rank = straggler_.add(replicas_->phases(), step_ms)) parts_.log.warning(*rank);
  if (!replicas_->overlaps() || replicas_->drifts()) return;  // no wire, or rounds of many steps
  if (const auto link = slow_link_.add(replicas_->phases(), step_ms)) parts_.log.warning(*link);
}

void Trainer::compute_by_task() {
  std::vector<WorkerReport> more;
  for (std::size_t t = 0; t < parts_.loss.tasks().size(); ++t) {
    more.clear();
    replica_->only(t);
    for (std::size_t c = 0; c < held_.size(); ++c)
      replica_->compute(held_[c], *cut_, step_, surgery_->of_task(t)[c], t == 0 ? reports_ : more);
    for (std::size_t i = 0; i < more.size(); ++i) reports_[i].loss += more[i].loss;  // each has all of the samples' weights
  }
  replica_->only({});
}

std::span<const Buffer> Trainer::compute() {
  const std::span<const Buffer> into = replicas_->begin();
  reports_.clear();
  try {
    if (surgery_) compute_by_task();
    for (std::size_t c = 0; !surgery_ && c < held_.size(); ++c) {
      const bool overlaps = replicas_->overlaps() && held_.size() == 1;
      replica_->compute(held_[c], *cut_, step_, into[c], reports_, overlaps ? [this] { replicas_->last_pass(); } : std::function<void()>());
    }
    spoil(Fault::Kind::nan);
    last_.stop = config_.stop_requested ? config_.stop_requested() : Stop::none;
    last_.save = save_report();
  } catch (const std::exception& e) {
    replicas_->fail(e.what());
    throw;
  }
  return into;
}

StepOutcome Trainer::compute_and_exchange() {
  const std::span<const Buffer> into = compute();
  if (surgery_) surgery_->combine(step_, into);
  const Phases computed = replica_->take_phases();
  const std::int64_t next = step_ + 1;
  const StepOrder order{.number = next, .settle = evaluates_after(next) || saves_after(next) || next == total_steps()};
  parts_.comm.watch().enter(Activity::updating);
  const StepOutcome outcome = replicas_->step(order, reports_, last_);
  Stopwatch watch;
  if (outcome.bad_worker < 0) batch_statistics_->update(*replicas_);
  last_.phases = computed;
  last_.phases.communicate = outcome.communicate_ms + watch.lap(), last_.phases.update = outcome.update_ms;
  return outcome;
}

void Trainer::tell_step(const StepOutcome& outcome, double step_ms) {
  if (parts_.comm.rank() != 0 || callbacks_.empty()) return;
  if (outcome.weight > 0) last_loss_ = outcome.loss / outcome.weight;
  const std::int64_t per_epoch = sampler_.steps_per_epoch(), done = step_ - 1;
  const std::int64_t every = config_.train.log_every > 0 ? config_.train.log_every : std::max<std::int64_t>(1, per_epoch / 20);
  StepEvent event{.step = step_,
                  .epoch = done / per_epoch,
                  .step_in_epoch = done % per_epoch,
                  .loss = last_loss_,
                  .lr = parts_.optimizer.lr(),
                  .step_ms = step_ms,
                  .logged = step_ % every == 0 || step_ == total_steps()};
  const double ms = statistics_.recent_step_ms() > 0 ? statistics_.recent_step_ms() : step_ms;
  event.samples_per_second = static_cast<double>(config_.train.batch) / ms * 1000;
  if (event.logged) {
    const PhaseSpread spread = spread_of(replicas_->phases());
    event.min_ms = spread.min, event.mean_ms = spread.mean, event.max_ms = spread.max;
  }
  for (Callback* callback : callbacks_) callback->on_step(event);
}

void Trainer::after_step() {
  if (goes_back_after(step_)) go_back();
  if (parts_.hook) {
    parts_.hook->after_step(step_);
    if (stopped_ == Stop::none) stopped_ = parts_.hook->stop();
  }
  check_replicas_if_due();
  go_on_with_save();
  evaluation_missed_ = stopped_ != Stop::none && evaluation_due(step_);
  if (stopped_ == Stop::none && evaluates_after(step_)) evaluate_now();
  if (!parts_.validation && step_ % sampler_.steps_per_epoch() == 0) epoch_loss_ = epoch_weight_ = 0;
  if (saves_after(step_) && !finished()) start_save();
}

std::string Trainer::hash_of(Buffer values) const { return tensors_hash(named_parameters(params_, values)); }

void Trainer::finish(Summary& s) {
  const Stay stay(parts_.comm.watch(), Activity::ending);
  last_save();
  if (traces() && (step_ < config_.trace.first || first_step_ >= config_.trace.first) && parts_.comm.rank() == 0)
    parts_.log.warning("no trace is written: train.trace begins at step " + std::to_string(config_.trace.first) + ", this run made steps " +
                       std::to_string(first_step_ + 1) + " to " + std::to_string(step_));
  end_trace();  // where the run ended inside the window
  s.status = stopped_ == Stop::interrupt ? "interrupted"
             : stopped_ == Stop::requeue ? "checkpointed"
             : should_stop_early()       ? "early_stopped"
                                         : "done";
  s.world_size = parts_.comm.size(), s.virtual_workers = workers_, s.threads_per_rank = config_.parallel.threads;
  s.parameters = params_.parameter_count();
  s.steps = step_, s.epochs = step_ / sampler_.steps_per_epoch();
  s.parameters_hash = hash_of(params_.values());
  const bool has_best = early_.active() && early_.best_step > 0;
  end_weights(s, has_best);
  s.version = CHORALE_VERSION;
  s.checkpoints_written = saves_told_.checkpoints_written, s.checkpoints_failed = saves_told_.checkpoints_failed;
  s.checkpoint_pause_ms = saves_told_.checkpoint_pause_ms, s.checkpoint_write_ms = saves_told_.checkpoint_write_ms;
  s.skipped_steps = skipped_, s.rollbacks = rollbacks_;
  statistics_.fill(s);
  if (stopped_ != Stop::none || !config_.final_evaluation) return;
  const Clock::time_point start = Clock::now();
  if (has_best)
    replicas_->write_back(best_);
  else if (keeps_average())
    replicas_->use_average();
  if (has_best && parts_.hook) parts_.hook->use_best();
  if (parts_.hook) parts_.hook->after_last_step();
  const Stay evaluation(parts_.comm.watch(), Activity::evaluating, "all rows");
  EvaluationEvent event{.step = step_, .epoch = s.epochs, .scores = {}, .final = true};
  event.scores["train"] = evaluator_->evaluate(*parts_.train);
  if (parts_.validation) event.scores["validation"] = evaluator_->evaluate(*parts_.validation);
  if (parts_.test) event.scores["test"] = evaluator_->evaluate(*parts_.test);
  event.seconds = ms_since(start) / 1000;
  s.metrics = event.scores;
  tell([&](Callback& c) { c.on_evaluation(event); });
}

}  // namespace chorale
