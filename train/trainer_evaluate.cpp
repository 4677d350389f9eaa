// When a trainer scores its validation rows, with which weights, and what comes of the scores.
#include <chrono>
#include <limits>

#include <chorale/train/elapsed.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

bool Trainer::evaluation_due(std::int64_t step) const {
  const std::int64_t every = config_.train.evaluate_every;
  return goes_back_after(step) || step % (every > 0 ? every : config_.train.evaluate_every_epochs * sampler_.steps_per_epoch()) == 0;
}

bool Trainer::goes_back_after(std::int64_t step) const {
  return config_.hold.last_step > 0 && step == config_.hold.last_step && parts_.hook && parts_.hook->goes_back();
}

/// To the best weights so far. What they are scored with is other from here on, so that scores begin anew, with theirs.
void Trainer::go_back() {
  if (!early_.active() || early_.best_step == 0) return;
  replicas_->write_back(best_);
  if (keeps_average()) replicas_->begin_average();
  parts_.hook->use_best();
  early_.restore(std::numeric_limits<double>::quiet_NaN(), 0, 0);
}

bool Trainer::evaluates_after(std::int64_t step) const {
  return parts_.validation && (evaluation_due(step) || (step == total_steps() && config_.train.evaluate_every == 0));
}

void Trainer::evaluate_now() {
  if (!keeps_average()) return evaluate_weights();
  replicas_->keep(current_);
  replicas_->use_average();
  evaluate_weights();
  replicas_->write_back(current_);
}

void Trainer::lower_rate(const EvaluationEvent& event) {
  if (!rate_.take(event.scores, step_) || parts_.comm.rank() != 0) return;
  parts_.log.info("validation." + rate_.metric() + " no longer improves: the learning rate is " + std::to_string(rate_of(step_ + 1)) +
                  " from update " + std::to_string(step_ + 1) + " on");
}

void Trainer::evaluate_weights() {
  const Stay stay(parts_.comm.watch(), Activity::evaluating, "validation rows");
  const auto start = std::chrono::steady_clock::now();
  EvaluationEvent event{.step = step_, .epoch = (step_ - 1) / sampler_.steps_per_epoch(), .scores = {}};
  event.scores["validation"] = evaluator_->evaluate(*parts_.validation);
  if (epoch_weight_ > 0) event.scores["train"]["loss"] = epoch_loss_ / epoch_weight_;
  if (evaluation_due(step_)) epoch_loss_ = epoch_weight_ = 0;
  // An evaluation that only train.steps brings about does not count: the run may be resumed, and would not have made it on its way.
  event.best = evaluation_due(step_) && early_.update(judged_scores(event.scores), step_);
  if (evaluation_due(step_)) lower_rate(event);
  if (event.best) replicas_->keep(best_);
  if (event.best && parts_.hook) parts_.hook->keep_best();
  if (parts_.hook) parts_.hook->after_evaluation();
  event.seconds = ms_since(start) / 1000;
  const std::string metric = early_.active() ? early_.metric() : "loss";
  score_ = {"validation." + metric, event.scores["validation"].at(metric), early_.active() && early_.higher_is_better()};
  score_step_ = step_;
  tell([&](Callback& c) { c.on_evaluation(event); });
}

Scores Trainer::judged_scores(Scores scores) const {
  if (!early_.active() || !parts_.hook) return scores;
  double& judged = scores["validation"].at(early_.metric());
  judged = parts_.hook->judged_score(judged);
  return scores;
}

}  // namespace chorale
