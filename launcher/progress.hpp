// What a person sees of a run: a bar that is redrawn on a terminal, plain lines in a pipe.
#pragma once
#include <chrono>
#include <string>

#include <chorale/launcher/ranks.hpp>
#include <chorale/train/callback.hpp>

namespace chorale {

class Progress final : public Callback {
 public:
  /// settings: what the start-up table shows beside the run's sizes.
  explicit Progress(std::string settings) : settings_(std::move(settings)) {}
  void on_start(const RunFacts& facts) override;
  void on_step(const StepEvent& event) override;
  void on_evaluation(const EvaluationEvent& event) override;
  void on_end(const Summary& summary) override;

 private:
  void draw(const StepEvent& event);
  void clear();
  std::string settings_;
  bool terminal_ = terminal_columns() > 0, shown_ = false;
  RunFacts facts_;
  std::string validation_;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace chorale
