// How `exchange = auto` chooses: the candidates take turns over the first steps, and the one whose median step is shorter stays. Cores that
// are near or far from each other change places within minutes, so the choice is watched: where the median step drifts clearly from what it
// was after the choice, the candidates are tried again, within a bounded share of the steps. When what runs and when ranks meet over it
// depends on the count of steps alone, so all ranks change at the same step; rank 0's times decide.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// How soon a choice is doubted.
struct TrialPace {
  std::int64_t window = 250;         // steps whose median is compared
  std::int64_t steps_a_trial = 100;  // for each step of a trial made again so many others have gone before
};

/// One thread a rank.
class ExchangeTrial {
 public:
  static constexpr int kRounds = 4, kRoundsAgain = 2, kStepsPerTurn = 12, kWarmSteps = 4;  // the first of a turn find cold caches
  static constexpr double kDrift = 1.25;                                                   // longer or shorter by this factor is clear
  static constexpr std::int64_t kMostPatience = 64;  // how often the wait is doubled for trials that change nothing

  explicit ExchangeTrial(std::vector<std::string> candidates, const TrialPace& pace = {});
  const std::string& first() const { return candidates_[0]; }
  /// After every step, with its time. Returns the candidate that the next step is to use. Collective at the end of a trial and of a window.
  const std::string& after_step(Communicator& comm, double step_ms);
  /// The first trial is over.
  bool has_chosen() const { return has_chosen_; }
  bool is_trying() const { return is_trying_; }
  /// The last choice and why, in words.
  const std::string& reason() const { return reason_; }
  /// What has happened since it was last asked, in words; empty: nothing.
  std::string take_news() { return std::exchange(news_, {}); }

 private:
  std::size_t steps_of_trial() const;
  void decide(Communicator& comm);
  void look(Communicator& comm);
  void start_again(double median_ms);

  std::vector<std::string> candidates_;
  TrialPace pace_;
  std::vector<std::vector<double>> times_ms_;  // of the trial, by candidate
  std::vector<double> window_ms_;
  std::size_t step_ = 0;                 // of the trial
  std::size_t choice_ = 0, chosen_ = 0;  // what runs, and what the last trial chose
  bool is_trying_ = true, has_chosen_ = false;
  std::int64_t since_ = 0, patience_ = 1;  // steps since the choice; factor of the wait
  double reference_ms_ = 0;                // median of the first window after the choice; 0: it is not over
  std::string reason_, news_;
};

}  // namespace chorale
