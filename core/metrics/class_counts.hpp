// Weights of hits, of what was predicted and of what was true, by class: what precision, recall and F1 are made of.
#pragma once
#include <vector>

#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/metric.hpp>

namespace chorale {

/// With one output the score of class 1, NaN where it is undefined. With more the mean over classes that occur as a target or a prediction;
/// there an undefined score counts as 0 (as in scikit-learn), for a mean that left it out would reward never giving a class.
class ClassCounts : public Metric {
 public:
  explicit ClassCounts(std::int64_t outputs);
  void update(const Scored& chunk) override;
  std::vector<std::byte> state() const override;
  void merge(std::span<const std::byte> state) override;
  double value() const override;

 private:
  virtual double score(double hits, double predicted, double actual) const = 0;

  struct Counts {
    Expansion hits, predicted, actual;
  };
  std::int64_t outputs_;
  std::vector<Counts> classes_;
  Expansion undefined_;  // weight of rows with NaN outputs
};

}  // namespace chorale
