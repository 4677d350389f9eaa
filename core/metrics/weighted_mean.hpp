// A metric that is a mean over rows of one term a row: most of them are.
#pragma once
#include <chorale/core/metrics/expansion.hpp>
#include <chorale/core/metrics/metric.hpp>

namespace chorale {

/// sum of weight * term / sum of weight * unit, both exact. NaN without rows.
class WeightedMean : public Metric {
 public:
  explicit WeightedMean(std::int64_t outputs) : outputs_(outputs) {}
  void update(const Scored& chunk) override;
  std::vector<std::byte> state() const override;
  void merge(std::span<const std::byte> state) override;
  double value() const override;

 protected:
  std::int64_t outputs() const { return outputs_; }
  /// The number of classes behind the outputs: one output is two classes.
  std::int64_t classes() const { return outputs_ == 1 ? 2 : outputs_; }
  void add(double weighted_term, double weight);

 private:
  virtual double term(const Scored& chunk, std::int64_t row) const = 0;
  /// What a row of weight 1 counts for in the divisor.
  virtual double unit(const Scored& chunk, std::int64_t row) const { return (void)chunk, (void)row, 1; }

  std::int64_t outputs_;
  Expansion sum_, weight_;
};

}  // namespace chorale
