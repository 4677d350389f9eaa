// Weights of hits, of what was predicted and of what was true, by class: what precision, recall and F1 are made of.
#pragma once
#include <vector>

#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/metric.hpp>

namespace chorale {

/// How the scores of classes become one. usual: with one output the score of class 1, NaN where it is undefined, with more as macro. macro:
/// the mean over classes that occur as a target or a prediction. weighted: over targets' classes, by their weight. micro: the score of all
/// classes' counts together. In means an undefined score counts as 0 (as in scikit-learn), for one that left it out would reward never
/// giving a class.
enum class ClassAverage : std::uint8_t { usual, macro, micro, weighted };

class ClassCounts : public Metric {
 public:
  explicit ClassCounts(std::int64_t outputs, ClassAverage average = ClassAverage::usual);
  void update(const Scored& chunk) override;
  std::vector<std::byte> state() const override;
  void merge(std::span<const std::byte> state) override;
  double value() const override;

 private:
  virtual double score(double hits, double predicted, double actual) const = 0;

  struct Counts {
    Expansion hits, predicted, actual;
  };
  double score_of(const Counts& counts) const;
  double micro() const;
  std::int64_t outputs_;
  ClassAverage average_;
  std::vector<Counts> classes_;
  Expansion undefined_;  // weight of rows with NaN outputs
};

}  // namespace chorale
