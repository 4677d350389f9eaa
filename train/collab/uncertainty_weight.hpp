// A task's weight that is learnt from its loss. Source: Kendall, Gal & Cipolla, CVPR 2018.
#pragma once

namespace chorale {

/// A task's weight w = exp(-s), s being the logarithm of its variance, learnt by descent on w L + s / 2: a task with a large loss L counts
/// less. At rest w L = 1/2.
class UncertaintyWeight {
 public:
  explicit UncertaintyWeight(double lr) : lr_(lr) {}
  double weight() const;
  double log_variance() const { return s_; }
  /// loss: the task's mean loss of the step. s moves by at most 1 a step.
  void step(double loss);
  void restore(double log_variance) { s_ = log_variance; }

 private:
  double lr_, s_ = 0;
};

}  // namespace chorale
