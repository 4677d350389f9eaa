// A step whose loss is not finite (train.on_nan), and copies of the parameters that differ. What is done is done by all ranks at the same
// step, since all know the same of it.
#include <cmath>
#include <limits>

#include <chorale/train/replica_check.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

void Trainer::refuse_policy() const {
  if (config_.train.on_nan == "skip" && config_.parallel.exchange == "local_sgd")
    throw UsageError("train.on_nan = skip cannot undo a rank's own steps under parallel.exchange = local_sgd; use rollback or stop");
  if (config_.train.on_nan == "rollback" && !checkpointing_)
    throw UsageError("train.on_nan = rollback needs checkpoints to go back to; give a folder for them, or use skip or stop");
}

/// A check that misses what it is mostly wanted for says so.
void Trainer::say_what_checks_miss() const {
  if (config_.train.check_replicas == 0 || !replicas_->drifts() || parts_.comm.rank() != 0) return;
  const bool has_outer_step = config_.parallel.outer_lr != 1 || config_.parallel.outer_momentum != 0;
  parts_.log.warning(
      std::string("train.check_replicas compares the copies of local_sgd after averages only: a bit that turns in one rank's "
                  "parameters ") +
      (has_outer_step ? "within a round" : "between two averages") +
      " goes into the average of all ranks and is not found; the other exchanges compare after any step");
}

int Trainer::owner_of(std::int64_t worker) const {
  int owner = 0;
  for (int r = 0; r < parts_.comm.size(); ++r) {
    const Share held = workers_of(r, parts_.comm.size(), workers_);
    if (worker >= held.first && worker < held.first + held.count) owner = r;
  }
  return owner;
}

std::string Trainer::bad_loss_text(const StepOutcome& outcome) {
  const std::int64_t step = outcome.bad_step - 1, per_epoch = sampler_.steps_per_epoch();
  cut_->take(sampler_.rows(step / per_epoch, step % per_epoch));
  const int owner = owner_of(outcome.bad_worker);
  std::string text;
  if (parts_.hook) parts_.hook->set_alone(true);
  if (parts_.comm.rank() == owner) text = replica_->describe_bad(outcome.bad_worker, *cut_, step);
  if (parts_.hook) parts_.hook->set_alone(false);
  return "loss is not finite at step " + std::to_string(outcome.bad_step) + " on rank " + std::to_string(owner) + ": " +
         text_from(parts_.comm, owner, text, "bad loss");
}

std::optional<BatchInFlight> Trainer::batch_in_flight() const {
  if (!in_step_) return std::nullopt;
  BatchInFlight out{.step = step_ + 1, .samples = {}};
  for (std::int64_t v = 0; v < workers_; ++v) {
    const Share share = cut_->of(v);
    std::vector<std::int64_t>& ids = out.samples.emplace_back();
    for (std::int64_t i = share.first; i < share.first + share.count; ++i)
      ids.push_back(parts_.train->row_id(cut_->rows()[static_cast<std::size_t>(i)]));
  }
  return out;
}

void Trainer::after_bad_loss(const StepOutcome& outcome) {
  const std::string why = bad_loss_text(outcome);
  if (config_.train.on_nan == "skip") return skip(outcome, why);
  const bool is_own = owner_of(outcome.bad_worker) == parts_.comm.rank();
  if (config_.train.on_nan == "rollback") return roll_back(why, is_own);
  throw NumericError(why, is_own);
}

void Trainer::skip(const StepOutcome& outcome, const std::string& why) {
  ++step_, ++skipped_;
  stopped_ = outcome.stop, heard_ = outcome.save;
  const bool is_power_of_2 = (skipped_ & (skipped_ - 1)) == 0;
  if (parts_.comm.rank() == 0 && (skipped_ < 5 || is_power_of_2))
    parts_.log.warning(why + "; the step is skipped, " + std::to_string(skipped_) + " so far");
}

void Trainer::roll_back(const std::string& why, bool is_own) {
  if (rollbacks_ >= config_.train.rollbacks)
    throw NumericError(why + "; " + std::to_string(rollbacks_) + " rollbacks are used up (train.rollbacks)", is_own);
  wait_for_save(false);  // it may be the newest
  std::optional<RunPosition> found;
  {
    const Stay stay(parts_.comm.watch(), Activity::restoring, "checkpoint");
    found = checkpointing_->restore(parts_.log, {replicas_->writers_of_values(), replicas_->writers_of_state()});
    if (!found) throw NumericError(why + "; there is no checkpoint to go back to yet", is_own);
    replicas_->filled();
    replicas_->restart();
    checkpointing_->restore_carried(replicas_->carried(), parts_.log);
    replicas_->release_state();
  }
  const std::int64_t skipped = skipped_, from = step_ + 1;
  const double factor = lr_factor_ * config_.train.rollback_lr_factor;
  ++rollbacks_;
  take_position(*found);
  skipped_ = skipped, lr_factor_ = factor;
  parts_.optimizer.set_lr(lr_ * lr_factor_);
  if (parts_.comm.rank() == 0)
    parts_.log.warning(why + "; all ranks go back from step " + std::to_string(from) + " to the checkpoint of step " +
                       std::to_string(step_) + " with optimizer.lr = " + std::to_string(parts_.optimizer.lr()) + ", rollback " +
                       std::to_string(rollbacks_) + " of " + std::to_string(config_.train.rollbacks));
  if (evaluation_missed_ && parts_.validation) evaluate_now(), saved_step_ = -1;
  evaluation_missed_ = false;
}

void Trainer::take_position(const RunPosition& position) {
  step_ = saved_step_ = position.step;
  evaluation_missed_ = position.evaluation_missed;
  epoch_loss_ = position.epoch_loss, epoch_weight_ = position.epoch_weight;
  rate_.restore(position.plateau);
}

void Trainer::check_replicas_if_due() {
  const std::int64_t every = config_.train.check_replicas;
  if (every == 0 || (step_ / every == checked_step_ / every && !saves_after(step_) && step_ != total_steps())) return;
  // Between the averages of local_sgd replicas differ by design; then the next one is looked at.
  const bool settled = evaluates_after(step_) || saves_after(step_) || step_ == total_steps();
  if (replicas_->drifts() && !settled && step_ % config_.parallel.local_steps != 0) return;
  checked_step_ = step_;
  check_replicas(parts_.comm, params_, replicas_->fills(), step_);
}

void Trainer::spoil(Fault::Kind kind) {
  Faults* faults = parts_.comm.watch().faults();
  const Fault* fault = faults ? faults->take(kind) : nullptr;
  if (!fault) return;
  if (kind == Fault::Kind::nan && !reports_.empty()) reports_[0].loss = std::numeric_limits<double>::quiet_NaN();
  if (kind != Fault::Kind::bitflip) return;
  const FlatParams::Entry* entry = &params_.entries().front();
  for (const FlatParams::Entry& each : params_.entries())
    if (each.name == fault->where) entry = &each;
  const Buffer value = params_.values().part(entry->first + entry->count / 2, 1);
  replicas_->snapshot().before_write(value);
  auto* bytes = value.as<std::uint8_t>();
  bytes[1] = static_cast<std::uint8_t>(bytes[1] ^ 8);  // of the mantissa: still a number that nobody would wonder at
}

}  // namespace chorale
