#include <chorale/train/exchange_trial.hpp>

#include <algorithm>
#include <cstdio>

namespace chorale {

ExchangeTrial::ExchangeTrial(std::vector<std::string> candidates) : candidates_(std::move(candidates)), times_ms_(candidates_.size()) {}

const std::string& ExchangeTrial::after_step(Communicator& comm, double step_ms) {
  if (over_) return candidates_[choice_];
  if (step_ % kStepsPerTurn >= kWarmSteps) times_ms_[step_ / kStepsPerTurn % candidates_.size()].push_back(step_ms);
  ++step_;
  if (step_ == candidates_.size() * kRounds * kStepsPerTurn)
    decide(comm);
  else
    choice_ = step_ / kStepsPerTurn % candidates_.size();
  return candidates_[choice_];
}

void ExchangeTrial::decide(Communicator& comm) {
  std::vector<double> medians;
  for (std::vector<double>& times : times_ms_) {
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
    medians.push_back(times[times.size() / 2]);
  }
  comm.broadcast(buffer_of(std::span(medians)), 0, "exchange trial").wait();
  choice_ = static_cast<std::size_t>(std::min_element(medians.begin(), medians.end()) - medians.begin());
  over_ = true;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    char text[80];
    std::snprintf(text, sizeof text, "%s%s %.4g ms", i ? ", " : "", candidates_[i].c_str(), medians[i]);
    reason_ += text;
  }
  reason_ = candidates_[choice_] + " (a step took: " + reason_ + ")";
}

}  // namespace chorale
