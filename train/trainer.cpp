#include <chorale/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace chorale {

namespace {
using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point from) { return std::chrono::duration<double, std::milli>(Clock::now() - from).count(); }
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
                .exchange = config_.parallel.exchange});
  });
  while (!finished()) {
    one_step();
    after_step();
  }
  finish(summary);
  summary.seconds_total = ms_since(start) / 1000;
  tell([&](Callback& c) { c.on_end(summary); });
  return summary;
}

void Trainer::one_step() {
  const Clock::time_point start = Clock::now();
  const std::int64_t per_epoch = sampler_.steps_per_epoch();
  const std::span<const std::int64_t> batch = sampler_.rows(step_ / per_epoch, step_ % per_epoch);
  const StepOutcome outcome = compute_and_exchange(batch);
  if (outcome.bad_worker >= 0) refuse_bad_loss(outcome, batch);
  ++step_;
  stopped_ = outcome.stop;
  epoch_loss_ += outcome.loss, epoch_weight_ += outcome.weight;
  const double ms = ms_since(start);
  if (step_ > first_step_ + 1) statistics_.add(ms, static_cast<std::int64_t>(batch.size()), exchange_->phases());
  tell_step(outcome, ms);
}

StepOutcome Trainer::compute_and_exchange(std::span<const std::int64_t> batch) {
  const std::vector<Buffer> into = exchange_->begin();
  reports_.clear();
  for (std::size_t c = 0; c < held_.size(); ++c) {
    const bool overlaps = parts_.comm.node_count() > 1 && held_.size() == 1;
    replica_->compute(held_[c], batch, step_, into[c], reports_,
                      overlaps ? [this] { reducer_->begin(*exchange_); } : std::function<void()>());
  }
  reducer_->finish(*exchange_);
  last_.stop = config_.stop_requested && config_.stop_requested();
  const StepOutcome outcome = exchange_->step(params_, parts_.optimizer, step_ + 1, reports_, last_);
  last_.phases = replica_->take_phases();
  last_.phases.communicate = outcome.communicate_ms, last_.phases.update = outcome.update_ms;
  return outcome;
}

void Trainer::refuse_bad_loss(const StepOutcome& outcome, std::span<const std::int64_t> batch) {
  int owner = 0;
  for (int r = 0; r < parts_.comm.size(); ++r) {
    const Share held = workers_of(r, parts_.comm.size(), workers_);
    if (outcome.bad_worker >= held.first && outcome.bad_worker < held.first + held.count) owner = r;
  }
  std::string text;
  if (parts_.comm.rank() == owner) text = replica_->describe_bad(outcome.bad_worker, batch, step_);
  const auto bytes = broadcast_bytes(parts_.comm, std::as_bytes(std::span(text)), owner, "bad loss");
  throw NumericError("loss is not finite at step " + std::to_string(step_ + 1) + " on rank " + std::to_string(owner) + ": " +
                     std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void Trainer::tell_step(const StepOutcome& outcome, double step_ms) {
  if (parts_.comm.rank() != 0 || callbacks_.empty()) return;
  const std::int64_t per_epoch = sampler_.steps_per_epoch(), done = step_ - 1;
  const std::int64_t every = config_.train.log_every > 0 ? config_.train.log_every : std::max<std::int64_t>(1, per_epoch / 20);
  StepEvent event{.step = step_,
                  .epoch = done / per_epoch,
                  .step_in_epoch = done % per_epoch,
                  .loss = outcome.weight > 0 ? outcome.loss / outcome.weight : 0,
                  .lr = parts_.optimizer.lr(),
                  .step_ms = step_ms,
                  .logged = step_ % every == 0 || step_ == total_steps()};
  const double ms = statistics_.recent_step_ms() > 0 ? statistics_.recent_step_ms() : step_ms;
  event.samples_per_second = static_cast<double>(config_.train.batch) / ms * 1000;
  if (event.logged) {
    const PhaseSpread spread = spread_of(exchange_->phases());
    event.min_ms = spread.min, event.mean_ms = spread.mean, event.max_ms = spread.max;
  }
  for (Callback* callback : callbacks_) callback->on_step(event);
}

void Trainer::after_step() {
  const std::int64_t per_epoch = sampler_.steps_per_epoch(), every = config_.train.evaluate_every;
  const bool epoch_done = step_ % per_epoch == 0;
  if (!stopped_ && parts_.validation && (every > 0 ? step_ % every == 0 : epoch_done || step_ == total_steps())) evaluate_now();
  if (!parts_.validation && epoch_done) epoch_loss_ = epoch_weight_ = 0;
  const CheckpointOptions& c = config_.checkpoint;
  const bool due =
      c.every_steps > 0 ? step_ % c.every_steps == 0 : c.every_epochs > 0 && epoch_done && step_ / per_epoch % c.every_epochs == 0;
  if (due && !finished()) save_now(false);
}

void Trainer::evaluate_now() {
  const Clock::time_point start = Clock::now();
  EvaluationEvent event{.step = step_, .epoch = (step_ - 1) / sampler_.steps_per_epoch(), .scores = {}};
  event.scores["validation"] = evaluator_->evaluate(*parts_.validation);
  if (epoch_weight_ > 0) event.scores["train"]["loss"] = epoch_loss_ / epoch_weight_;
  epoch_loss_ = epoch_weight_ = 0;
  event.best = early_.update(event.scores, step_);
  if (event.best) parts_.device.copy(best_.data, params_.values().data, best_.bytes());
  event.seconds = ms_since(start) / 1000;
  tell([&](Callback& c) { c.on_evaluation(event); });
}

void Trainer::save_now(bool final) {
  if (!checkpointing_ || saved_step_ == step_) return;
  try {
    checkpointing_->save({.step = step_, .virtual_workers = workers_, .identity = config_.identity});
    saved_step_ = step_;
    if (failed_saves_ > 0 && parts_.comm.rank() == 0)
      parts_.log.warning("checkpoints are written again from step " + std::to_string(step_) + ", after " + std::to_string(failed_saves_) +
                         " that failed");
    failed_saves_ = 0;
    tell([&](Callback& c) { c.on_checkpoint(step_, config_.checkpoint_folder + "/step_" + std::to_string(step_)); });
  } catch (const IoError& e) {  // equal on all ranks
    if (final) throw;
    if (failed_saves_++ == 0 && parts_.comm.rank() == 0)  // a full disk is said once, not at every epoch
      parts_.log.warning("checkpoint of step " + std::to_string(step_) +
                         " failed, training goes on and later ones are tried without a word: " + e.what());
  }
}

std::string Trainer::hash_of(Buffer values) const { return tensors_hash(named_parameters(params_, values)); }

void Trainer::finish(Summary& s) {
  save_now(true);
  s.status = stopped_ ? "interrupted" : early_.should_stop() ? "early_stopped" : "done";
  s.world_size = parts_.comm.size(), s.virtual_workers = workers_, s.threads_per_rank = config_.parallel.threads;
  s.parameters = params_.parameter_count();
  s.steps = step_, s.epochs = step_ / sampler_.steps_per_epoch();
  s.parameters_hash = hash_of(params_.values());
  const bool has_best = early_.active() && early_.best_step > 0;
  s.best_parameters_hash = has_best ? hash_of(best_) : s.parameters_hash;
  s.version = CHORALE_VERSION;
  statistics_.fill(s);
  if (stopped_ || !config_.final_evaluation) return;
  const Clock::time_point start = Clock::now();
  if (has_best) params_.write(best_);
  EvaluationEvent event{.step = step_, .epoch = s.epochs, .scores = {}, .final = true};
  event.scores["train"] = evaluator_->evaluate(*parts_.train);
  if (parts_.validation) event.scores["validation"] = evaluator_->evaluate(*parts_.validation);
  if (parts_.test) event.scores["test"] = evaluator_->evaluate(*parts_.test);
  event.seconds = ms_since(start) / 1000;
  s.metrics = event.scores;
  tell([&](Callback& c) { c.on_evaluation(event); });
}

}  // namespace chorale
