// When a trainer saves, and what it does about a save that is under way; what weights a run ends with.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include <chorale/core/data/memory_budget.hpp>
#include <chorale/train/elapsed.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;

double now_s() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

[[noreturn]] void throw_outcome(const SaveOutcome& outcome) {
  switch (outcome.code) {
    case ExitCode::owned:
      throw OwnedError(outcome.error);
    case ExitCode::internal:
      throw InternalError(outcome.error);
    default:
      throw IoError(outcome.error);
  }
}

}  // namespace

void Trainer::make_checkpointing() {
  if (config_.checkpoint_folder.empty()) return;
  const CheckpointOptions& o = config_.checkpoint;
  if (o.keep_best > 0 && !parts_.validation)
    throw UsageError("checkpoint.keep_best = " + std::to_string(o.keep_best) +
                     " needs validation rows to rate checkpoints by; give data.split three shares, or remove it");
  checkpointing_ = std::make_unique<Checkpointing>(
      Checkpointing::Parts{.comm = parts_.comm,
                           .params = params_,
                           .optimizer = parts_.optimizer,
                           .early = early_,
                           .best = best_,
                           .save = {.comm = parts_.comm,
                                    .snapshot = replicas_->snapshot(),
                                    .folder = config_.checkpoint_folder,
                                    .retention = {.last = o.keep_last, .best = o.keep_best, .every = o.keep_every},
                                    .texts = config_.texts,
                                    .still_ours = config_.still_ours,
                                    .at = config_.at_save}});
}

std::string Trainer::checkpoints_text() const {
  if (!checkpointing_) return "";
  const CheckpointOptions& o = config_.checkpoint;
  std::string when = "at the end";
  if (o.every == "auto")
    when = fmt::format("auto, for a failure every {:g} h", o.mtbf_hours);
  else if (o.every_steps > 0 || o.every_seconds > 0)
    when = (o.every_steps > 0 ? fmt::format("every {} steps", o.every_steps) : "") +
           (o.every_steps > 0 && o.every_seconds > 0 ? " and " : "") +
           (o.every_seconds > 0 ? fmt::format("every {:g} s", o.every_seconds) : "");
  else if (o.every_epochs > 0)
    when = o.every_epochs == 1 ? "every epoch" : fmt::format("every {} epochs", o.every_epochs);
  if (snapshot_bytes_ > 0)
    return when + ", in the background from a copy of " + bytes_text(static_cast<std::int64_t>(snapshot_bytes_)) + " a rank";
  return when + ", training waits for each" + (o.background ? ": a copy does not fit into memory" : "");
}

bool Trainer::saves_after(std::int64_t step) const {
  return checkpointing_ && (schedule_.is_due(step) || (parts_.hook && parts_.hook->saves_after(step)));
}

SaveReport Trainer::save_report() const {
  if (!checkpointing_) return {};
  return {.told = true, .wanted = parts_.comm.rank() == 0 && schedule_.is_wanted(now_s()), .writing = checkpointing_->saves().is_writing()};
}

void Trainer::go_on_with_save() {
  if (!checkpointing_ || !heard_.told) return;
  if (heard_.wanted) schedule_.asked(step_);
  // What was heard may be from before the save began: then nobody has pended.
  if (!checkpointing_->saves().is_pending() || heard_.writing) return;
  const Clock::time_point start = Clock::now();
  const std::optional<SaveOutcome> outcome = checkpointing_->saves().advance();
  save_cost_.steps_ms += ms_since(start);
  if (outcome) end_save(*outcome, false);
}

void Trainer::start_save() {
  if (!checkpointing_ || saved_step_ == step_) return;
  wait_for_save(false);
  const Stay stay(parts_.comm.watch(), Activity::saving, "checkpoint");
  const Clock::time_point start = Clock::now();
  state_is_gathered_ = checkpointing_->start({.step = step_,
                                              .virtual_workers = workers_,
                                              .identity = config_.identity,
                                              .exchange = replicas_->name(),
                                              .evaluation_missed = evaluation_missed_,
                                              .epoch_loss = epoch_loss_,
                                              .epoch_weight = epoch_weight_,
                                              .score = score_step_ == step_ ? score_ : std::nullopt,
                                              .lr_factor = lr_factor_,
                                              .skipped_steps = skipped_,
                                              .rollbacks = rollbacks_,
                                              .schedule_steps = rate_.steps(),
                                              .plateau = rate_.plateau(),
                                              .pinned = parts_.hook ? parts_.hook->pinned() : ""},
                                             {replicas_->carried(), replicas_->has_private_state(), replicas_->held()},
                                             [this] { replicas_->gather_state(); });
  saved_step_ = step_;
  schedule_.begun(now_s());
  save_cost_ = {.pause_ms = ms_since(start), .steps_ms = 0, .usual_ms = statistics_.recent_step_ms()};
  if (snapshot_bytes_ > 0) return;
  const SaveOutcome outcome = checkpointing_->saves().wait();
  save_cost_.pause_ms = ms_since(start);
  end_save(outcome, finished());
}

void Trainer::end_save(const SaveOutcome& outcome, bool final) {
  const bool speaks = parts_.comm.rank() == 0, failed = outcome.code != ExitCode::done;
  Summary& told = saves_told_;
  if (state_is_gathered_) replicas_->release_state();  // written, or given up
  schedule_.ended((save_cost_.pause_ms + save_cost_.steps_ms) / 1000);
  if (speaks && !final && schedule_.has_news())  // rank 0's clock decides
    parts_.log.info(
        fmt::format("checkpoint.every = auto: one every {:.3g} s, as one costs training {:.2g} s and a failure comes every {:g} h",
                    schedule_.interval_s(), schedule_.cost_s(), config_.checkpoint.mtbf_hours));
  (failed ? told.checkpoints_failed : told.checkpoints_written)++;
  if (!failed) {
    const auto n = static_cast<double>(told.checkpoints_written);
    told.checkpoint_pause_ms += (save_cost_.pause_ms - told.checkpoint_pause_ms) / n;
    told.checkpoint_write_ms += (outcome.write_ms - told.checkpoint_write_ms) / n;
  }
  tell([&](Callback& c) {
    c.on_checkpoint({.step = outcome.step,
                     .folder = outcome.folder,
                     .error = outcome.error,
                     .pause_ms = save_cost_.pause_ms,
                     .write_ms = outcome.write_ms,
                     .steps_ms = save_cost_.steps_ms,
                     .bytes = outcome.bytes,
                     .in_background = snapshot_bytes_ > 0});
  });
  if (parts_.hook) parts_.hook->after_save(outcome.step, !failed);
  if (!outcome.warning.empty() && speaks) parts_.log.warning("an older checkpoint is not removed: " + outcome.warning);
  if (failed) {
    saved_step_ = -1;
    const bool tolerable = outcome.code == ExitCode::io || outcome.code == ExitCode::checkpoint;
    if (final || config_.checkpoint.on_error == "stop" || !tolerable) throw_outcome(outcome);
    if (failed_saves_++ == 0 && speaks)  // a full disk is said once, not at every epoch
      parts_.log.warning("checkpoint of step " + std::to_string(outcome.step) +
                         " failed, training goes on and later ones are tried without a word: " + outcome.error);
    return;
  }
  if (failed_saves_ > 0 && speaks)
    parts_.log.warning("checkpoints are written again from step " + std::to_string(outcome.step) + ", after " +
                       std::to_string(failed_saves_) + " that failed");
  failed_saves_ = 0;
}

void Trainer::wait_for_save(bool final) {
  if (!checkpointing_ || !checkpointing_->saves().is_pending()) return;
  const Stay stay(parts_.comm.watch(), Activity::saving, "checkpoint");
  const Clock::time_point start = Clock::now();
  const SaveOutcome outcome = checkpointing_->saves().wait();
  const double waited_ms = ms_since(start);
  save_cost_.steps_ms += waited_ms;
  end_save(outcome, final);
  if (!final && waited_ms > 100 && parts_.comm.rank() == 0)
    parts_.log.warning(
        fmt::format("the checkpoint of step {} waited {:.1f} s for the one of step {}: they are due faster than they are "
                    "written",
                    step_, waited_ms / 1000, outcome.step));
}

void Trainer::end_weights(Summary& s, bool has_best) {
  s.best_parameters_hash = has_best ? hash_of(best_) : s.parameters_hash;
  if (!keeps_average()) return;
  replicas_->keep(current_);
  replicas_->use_average();
  s.ema_parameters_hash = hash_of(params_.values());
  if (!has_best) s.best_parameters_hash = s.ema_parameters_hash;
  replicas_->write_back(current_);
}

void Trainer::last_save() {
  if (!checkpointing_) return;
  wait_for_save(saved_step_ == step_);
  start_save();
  wait_for_save(true);
}

}  // namespace chorale
