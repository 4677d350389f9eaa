// chorale train --find-lr: the learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3).
// The rate rises geometrically over a few hundred updates until the loss flies off; where it fell fastest is a rate to begin with.
#pragma once
#include <span>
#include <string>
#include <vector>

#include <chorale/train/trainer.hpp>

namespace chorale {

/// What the test found.
struct FoundRate {
  double fastest = 0;       // where the smoothed loss fell fastest by the logarithm of the rate
  double lowest = 0;        // of the least smoothed loss: from about here on it is too high
  bool has_fallen = false;  // the loss fell at all
};
/// An exponential mean with bias correction, as fast.ai has it.
class SmoothedLoss {
 public:
  double add(double loss);

 private:
  double mean_ = 0, weight_ = 0;
};
/// rates rising, losses of the same updates, some of the last perhaps not finite.
FoundRate judge_rates(std::span<const double> rates, std::span<const double> losses);

/// Takes part in a training in place of its schedule. Rank 0's is told of steps; all ranks have one.
class RateFinder : public Callback {
 public:
  static constexpr double kLeast = 1e-7, kGreatest = 10;
  static constexpr std::int64_t kSteps = 200;
  /// Makes of a run's configuration one that tests rates: no evaluation, no checkpoint, no average.
  void prepare(TrainerConfig& config, TrainerParts& parts);
  void on_step(const StepEvent& event) override;
  /// Runs to the last rate or until the loss is four times the least, or not finite. Collective.
  Summary run(Trainer& trainer);
  /// For a terminal, on rank 0.
  std::string text() const;
  /// {"rates": [...], "losses": [...], "fastest": 0.01, "lowest": 0.1}
  std::string json() const;

 private:
  std::vector<double> rates_, losses_;
  SmoothedLoss smoothed_;
  double least_ = 0;
  bool flies_off_ = false;
};

}  // namespace chorale
