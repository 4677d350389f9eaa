#include <chorale/train/exchange_trial.hpp>

#include <algorithm>
#include <cstdio>

namespace chorale {

namespace {

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string ms_text(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g ms", ms);
  return text;
}

}  // namespace

ExchangeTrial::ExchangeTrial(std::vector<std::string> candidates, const TrialPace& pace)
    : candidates_(std::move(candidates)), pace_(pace), times_ms_(candidates_.size()) {
  window_ms_.reserve(static_cast<std::size_t>(pace_.window));
}

std::size_t ExchangeTrial::steps_of_trial() const {
  return candidates_.size() * static_cast<std::size_t>((has_chosen_ ? kRoundsAgain : kRounds) * kStepsPerTurn);
}

const std::string& ExchangeTrial::after_step(Communicator& comm, double step_ms) {
  if (is_trying_) {
    if (step_ % kStepsPerTurn >= kWarmSteps) times_ms_[step_ / kStepsPerTurn % candidates_.size()].push_back(step_ms);
    if (++step_ == steps_of_trial())
      decide(comm);
    else
      choice_ = step_ / kStepsPerTurn % candidates_.size();
    return candidates_[choice_];
  }
  ++since_;
  window_ms_.push_back(step_ms);
  if (static_cast<std::int64_t>(window_ms_.size()) == pace_.window) look(comm);
  return candidates_[choice_];
}

void ExchangeTrial::decide(Communicator& comm) {
  std::vector<double> medians;
  for (std::vector<double>& times : times_ms_) medians.push_back(median(times)), times.clear();
  comm.broadcast(buffer_of(std::span(medians)), 0, "exchange trial").wait();
  choice_ = static_cast<std::size_t>(std::min_element(medians.begin(), medians.end()) - medians.begin());
  patience_ = has_chosen_ && choice_ == chosen_ ? std::min(2 * patience_, kMostPatience) : 1;
  chosen_ = choice_;
  is_trying_ = false, has_chosen_ = true;
  since_ = 0, reference_ms_ = 0;
  reason_.clear();
  for (std::size_t i = 0; i < candidates_.size(); ++i)
    reason_.append(i ? ", " : "").append(candidates_[i]).append(" ").append(ms_text(medians[i]));
  news_ = reason_ = candidates_[choice_] + " (a step took: " + reason_ + ")";
}

void ExchangeTrial::look(Communicator& comm) {
  const std::int64_t wait = patience_ * pace_.steps_a_trial * static_cast<std::int64_t>(steps_of_trial());
  double now_ms = median(window_ms_);
  window_ms_.clear();
  if (reference_ms_ > 0 && since_ < wait) return;
  comm.broadcast(buffer_of(std::span(&now_ms, 1)), 0, "exchange drift").wait();
  if (reference_ms_ == 0)
    reference_ms_ = now_ms;
  else if (now_ms > kDrift * reference_ms_ || kDrift * now_ms < reference_ms_)
    start_again(now_ms);
}

void ExchangeTrial::start_again(double median_ms) {
  std::string names;
  for (const std::string& name : candidates_) names.append(names.empty() ? "" : " and ").append(name);
  news_ = "a step takes " + ms_text(median_ms) + " now, " + ms_text(reference_ms_) + " after " + candidates_[choice_] +
          " was chosen: " + names + " are tried again";
  is_trying_ = true;
  step_ = 0, choice_ = 0;
}

}  // namespace chorale
