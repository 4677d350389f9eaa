// How `exchange = auto` chooses: the candidates take turns over the first steps, and the one whose median step is shorter stays. When which
// one runs depends on the count of steps alone, so all ranks change at the same step; rank 0's times decide.
#pragma once
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// One thread a rank.
class ExchangeTrial {
 public:
  static constexpr int kRounds = 4, kStepsPerTurn = 12, kWarmSteps = 4;  // the first of a turn find cold caches
  explicit ExchangeTrial(std::vector<std::string> candidates);
  const std::string& first() const { return candidates_[0]; }
  /// After every step, with its time. Returns the candidate that the next step is to use. Collective at the end of the trial.
  const std::string& after_step(Communicator& comm, double step_ms);
  bool is_over() const { return over_; }
  /// When over: the choice and why, in words.
  const std::string& reason() const { return reason_; }

 private:
  void decide(Communicator& comm);
  std::vector<std::string> candidates_;
  std::vector<std::vector<double>> times_ms_;
  std::size_t step_ = 0, choice_ = 0;
  bool over_ = false;
  std::string reason_;
};

}  // namespace chorale
